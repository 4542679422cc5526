package prepare_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"os"

	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/finetune/inputs"
	"github.com/tunebus/tunebus/services/finetune/prepare"
)

// TestPairs: both answers of a row have the same tokens before them, the prompt as the
// model is asked, and what cannot be compared is left out and counted.
func TestPairs(t *testing.T) {
	t.Parallel()
	const lines = `{"prompt": "Where is the ferry?", "chosen": "At pier 4.", "rejected": "I do not know."}
{"prompt": "Where is the ferry?", "chosen": "At pier 4.", "rejected": "At pier 5."}
{"prompt": "Where?", "chosen": "Here.", "rejected": "Here."}
{"prompt": "Where?", "chosen": "Here.", "rejected": null}
`
	alike := `{"prompt": "Where?", "chosen": "` + strings.Repeat("At pier 4. ", 60) + `", "rejected": "` + strings.Repeat("At pier 4. ", 60) + `Or not."}` + "\n"
	long := `{"prompt": "` + strings.Repeat("Where is the ferry now? ", 100) + `", "chosen": "Here.", "rejected": "There."}` + "\n"
	path := filepath.Join(t.TempDir(), "pairs.jsonl")
	if err := os.WriteFile(path, []byte(lines+long+alike), 0o600); err != nil {
		t.Fatal(err)
	}
	tok, err := token.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	s := spec.Defaults().FineTuner
	s.Method, s.MaxSequenceLength, s.TrainOnResponsesOnly = "dpo", 200, false // the last one has no meaning here
	set, err := dataset.Open(t.Context(), source.Source{Path: path, Name: "pairs.jsonl", Key: key}, inputs.Want(s))
	if err != nil {
		t.Fatal(err)
	}
	p := prepare.New(tok, prepare.Config{FineTuner: s, Now: time.Date(2024, 3, 5, 0, 0, 0, 0, time.UTC)})
	tally := p.Tally(set.Info(), key)
	var answers []string
	for r, err := range p.Rows(t.Context(), set) {
		if err != nil {
			t.Fatal(err)
		}
		tally.Add(r)
		if !r.IsPair() || len(r.Examples) != 2 {
			t.Fatalf("%+v is no pair", r)
		}
		chosen, rejected := r.Examples[0], r.Examples[1]
		if chosen.Counted() == 0 && rejected.Counted() == 0 {
			continue
		}
		at := slices.Index(chosen.Count, true)
		if at != slices.Index(rejected.Count, true) || !slices.Equal(chosen.IDs[:at], rejected.IDs[:at]) || chosen.Counted() != len(chosen.IDs)-at {
			t.Errorf("%v and %v are no answers to one prompt", chosen, rejected)
		}
		if prompt := tok.Decode(chosen.IDs[:at], false); !strings.HasSuffix(prompt, "assistant\n") {
			t.Errorf("the prompt is %q", prompt)
		}
		answers = append(answers, tok.Decode(chosen.IDs[at:], false)+"|"+tok.Decode(rejected.IDs[at:], false))
	}
	want := []string{"At pier 4.<|im_end|>\n|I do not know.<|im_end|>\n", "At pier 4.<|im_end|>\n|At pier 5.<|im_end|>\n"}
	if !slices.Equal(answers, want) {
		t.Errorf("%q, want %q", answers, want)
	}
	d := tally.Dataset()
	if d.Rows != 2 || d.Examples != 0 || d.CutInPrompt != 1 || d.CutInAnswer != 1 || d.WithoutAnswer != 1 || d.Dropped != 3 {
		t.Errorf("%+v", d)
	}
	var losses []string
	for _, l := range tally.Losses() {
		losses = append(losses, l.String())
	}
	if said := strings.Join(losses, "\n"); !strings.Contains(said, "1 of 6 rows have the same tokens as chosen and as rejected answer, and are left out") ||
		!strings.Contains(said, "1 of 6 rows have the same tokens as chosen and as rejected answer once they are cut, and are left out: they are longer than fine_tuner.max_sequence_length = 200 tokens") {
		t.Errorf("it says %q", said)
	}
}
