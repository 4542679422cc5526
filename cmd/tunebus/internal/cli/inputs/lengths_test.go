package inputs_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestCheckFindsNothingLeft: lengths that leave nothing of data are faults before anything
// starts. A row that is left, wherever it is, is enough.
func TestCheckFindsNothingLeft(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(`{"question":"Where is the mast?","answer":"At pier 4, behind the shed of the harbour master."}`+"\n", 150)
	f := newFolder(t)
	f.name("fine_tuner.training_data_id", f.write(t, "long.jsonl", long))
	f.name("inferencer.testing_data_id", f.write(t, "questions.jsonl", long))
	f.specification.FineTuner.MaxSequenceLength, f.specification.Inferencer.MaxSequenceLength = 4, 10
	got := f.check(t).Faults
	if len(got) != 2 {
		t.Fatalf("%v", got)
	}
	for i, want := range []string{
		"long.jsonl\": nothing to learn from: 150 of 150 rows are cut before their answer, of which nothing is left, and are left out: they are longer than fine_tuner.max_sequence_length = 4 tokens",
		"inferencer.max_sequence_length = 10: every one of 150 prompts is longer and would lose its beginning; raise it: the shortest has ",
	} {
		if !strings.Contains(got[i].String(), want) {
			t.Errorf("%s\nwant %s", got[i], want)
		}
	}
	short := strings.Replace(long, "Where is the mast?", "?", 1)
	f.name("fine_tuner.training_data_id", f.write(t, "one.jsonl", long+short))
	f.name("inferencer.testing_data_id", f.write(t, "question.jsonl", long+short))
	f.specification.FineTuner.MaxSequenceLength, f.specification.Inferencer.MaxSequenceLength = 25, 16
	if got := f.check(t).Faults; len(got) > 0 {
		t.Errorf("one row is left: %v", got)
	}
}

// TestCheckTellsOfLongAnswers that may go beyond the positions of the model, which are known
// before the run.
func TestCheckTellsOfLongAnswers(t *testing.T) {
	t.Parallel()
	f := newFolder(t)
	dir := f.copyModel(t, "m")
	edit(t, filepath.Join(dir, "config.json"), func(c map[string]any) { c["max_position_embeddings"] = 64 })
	f.name("fine_tuner.base_model_id", dir)
	f.specification.Inferencer.MaxNewTokens = 500
	got := f.check(t)
	text := fmt.Sprint(got.Notes)
	var longest, left int
	_, tail, _ := strings.Cut(text, "the longest of these prompts has ")
	if _, err := fmt.Sscanf(tail, "%d tokens, so that inferencer.max_new_tokens = %d keeps", &longest, &left); err != nil || longest+left != 64 {
		t.Errorf("%v: %d and %d in %s", err, longest, left, text)
	}
	if len(got.Faults) > 0 || len(got.Notes) != 1 || !strings.Contains(text, "inferencer.max_new_tokens = 500: 1 of 1 prompts and their answers together may have more than the 64 tokens") {
		t.Errorf("%+v", got)
	}
	f.specification.Inferencer.MaxNewTokens = left
	if got := f.check(t); len(got.Notes) > 0 {
		t.Errorf("%d stay within: %v", left, got.Notes)
	}
	f.specification.Inferencer.MaxNewTokens, f.specification.Inferencer.Engine = 500, "openai"
	if got := f.check(t); len(got.Notes) > 0 {
		t.Errorf("a server knows what it does: %v", got.Notes)
	}
}
