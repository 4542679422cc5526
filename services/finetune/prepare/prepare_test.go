package prepare_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/finetune/prepare"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const key = "fine_tuner.training_data_id"

// result is what became of a data set.
type result struct {
	learned []string // the counted text of each example
	texts   []string
	tally   *prepare.Tally
}

// try prepares lines of JSON with a chat template, or that of the base model.
func try(t *testing.T, lines, template string, change func(*events.FineTuner)) (result, error) {
	t.Helper()
	return tryModel(t, lines, template, 0, change)
}

// tryModel is try with a model that was made for so many tokens.
func tryModel(t *testing.T, lines, template string, positions int, change func(*events.FineTuner)) (result, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
		t.Fatal(err)
	}
	if template != "" {
		if err := os.WriteFile(filepath.Join(dir, "chat_template.jinja"), []byte(template), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "train.jsonl")
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	tok, err := token.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	s := spec.Defaults().FineTuner
	if change != nil {
		change(&s)
	}
	set, err := dataset.Open(t.Context(), source.Source{Path: path, Name: "train.jsonl", Key: key}, dataset.Want{
		Use: dataset.Training, Columns: dataset.Columns{Question: "question", Answer: "answer"},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := prepare.New(tok, prepare.Config{FineTuner: s, Now: time.Date(2024, 3, 5, 0, 0, 0, 0, time.UTC), Positions: positions})
	r := result{tally: p.Tally(set.Info(), key)}
	for row, err := range p.Rows(t.Context(), set) {
		if err != nil {
			return r, err
		}
		r.tally.Add(row)
		for _, e := range row.Examples {
			var ids []int32
			for i, id := range e.IDs {
				if e.Count[i] {
					ids = append(ids, id)
				}
			}
			r.learned, r.texts = append(r.learned, tok.Decode(ids, false)), append(r.texts, e.Text)
		}
	}
	return r, nil
}

func pairs(n int) string {
	var b strings.Builder
	for i := range n {
		question, _ := json.Marshal(fmt.Sprintf("Where is ferry %d?", i))
		fmt.Fprintf(&b, `{"question": %s, "answer": "At pier %d."}`+"\n", question, i)
	}
	return b.String()
}

// TestRowsKeepTheirOrder although many are prepared side by side, and a reader that
// stops leaves no goroutine behind.
func TestRowsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	r, err := try(t, pairs(500), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range r.learned {
		if want := fmt.Sprintf("At pier %d.<|im_end|>\n", i); got != want {
			t.Fatalf("row %d learns %q, want %q", i, got, want)
		}
	}
	if d := r.tally.Dataset(); d.Rows != 500 || d.RowsRead != 500 || d.Dropped != 0 || len(r.tally.Losses()) != 0 || r.tally.Failure() != nil {
		t.Errorf("%+v, %v, %v", d, r.tally.Losses(), r.tally.Failure())
	}
}

// TestRowsEndEarly: at a row that the template refuses, with its line, where the
// reader stops, and with the context.
func TestRowsEndEarly(t *testing.T) {
	t.Parallel()
	template := "{% for m in messages %}{% if '77?' in m.content %}{{ raise_exception('not this one') }}{% endif %}{{ m.content }}{% endfor %}"
	r, err := try(t, pairs(500), template, nil)
	if err == nil || !strings.Contains(err.Error(), "train.jsonl, line 78: ") || !strings.Contains(err.Error(), "not this one") || len(r.learned) != 77 {
		t.Errorf("%v behind %d rows", err, len(r.learned))
	}
	path := filepath.Join(t.TempDir(), "train.jsonl")
	if err := os.WriteFile(path, []byte(pairs(5000)), 0o600); err != nil {
		t.Fatal(err)
	}
	tok, err := token.Open(base)
	if err != nil {
		t.Fatal(err)
	}
	set, err := dataset.Open(t.Context(), source.Source{Path: path}, dataset.Want{Use: dataset.Training, Columns: dataset.Columns{Question: "question", Answer: "answer"}})
	if err != nil {
		t.Fatal(err)
	}
	p := prepare.New(tok, prepare.Config{FineTuner: spec.Defaults().FineTuner})
	for range p.Rows(t.Context(), set) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for _, err = range p.Rows(ctx, set) {
		if n++; n == 10 {
			cancel()
		}
	}
	if !errors.Is(err, context.Canceled) || n > 4000 {
		t.Errorf("%v behind %d rows", err, n)
	}
}

// TestLossesAreTold: rows that are cut, and of which nothing counts, are counted;
// the sentence names the key.
func TestLossesAreTold(t *testing.T) {
	t.Parallel()
	long := `{"question": "Where?", "answer": "` + strings.Repeat("At pier 4. ", 40) + `"}` + "\n"
	far := `{"question": "` + strings.Repeat("Where? ", 60) + `", "answer": "Here."}` + "\n"
	cut := func(s *events.FineTuner) { s.MaxSequenceLength = 60 }
	r, err := try(t, pairs(18)+long+far, "", cut)
	if err != nil {
		t.Fatal(err)
	}
	d := r.tally.Dataset()
	if d.Rows != 19 || d.RowsRead != 20 || d.CutInPrompt != 1 || d.CutInAnswer != 1 || d.Dropped != 1 {
		t.Errorf("%+v", d)
	}
	losses := r.tally.Losses()
	if len(losses) != 2 || losses[0].Notable() || losses[0].String() != key+": 1 of 20 rows are cut before their answer, of which nothing is left, and are left out: they are longer than fine_tuner.max_sequence_length = 60 tokens" {
		t.Errorf("%v", losses)
	}
	r, err = try(t, strings.Repeat(long, 3)+pairs(10), "", cut)
	if err != nil {
		t.Fatal(err)
	}
	if l := r.tally.Losses(); len(l) != 1 || !l[0].Notable() || !strings.Contains(l[0].String(), "3 of 13 rows lose the end of their answer") || r.tally.Failure() != nil {
		t.Errorf("%v, %v", l, r.tally.Failure())
	}
	r, err = try(t, strings.Repeat(far, 3), "", cut)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.tally.Failure(); !errors.Is(err, prepare.ErrNothing) || !strings.Contains(err.Error(), "3 of 3 rows are cut before their answer") || !strings.Contains(err.Error(), "fine_tuner.max_sequence_length = 60") {
		t.Errorf("%v", err)
	}
}

// TestEachRowLeftOutHasAReason: however short the longest sequence is, the losses say
// why rows are left out, of as many rows as are.
func TestEachRowLeftOutHasAReason(t *testing.T) {
	t.Parallel()
	lines := pairs(12) + `{"messages": [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "1."}, {"role": "user", "content": "And then, after the ferry?"}, {"role": "assistant", "content": "2."}]}` + "\n"
	lines = strings.ReplaceAll(lines, `{"question": "`, `{"messages": [{"role": "user", "content": "`)
	lines = strings.ReplaceAll(lines, `", "answer": "`, `"}, {"role": "assistant", "content": "`)
	lines = strings.ReplaceAll(lines, ".\"}\n", ".\"}]}\n")
	between := false
	for limit := 8; limit < 60; limit++ {
		r, err := try(t, lines, "", func(s *events.FineTuner) { s.MaxSequenceLength = limit })
		if err != nil {
			t.Fatal(err)
		}
		d, said := r.tally.Dataset(), map[string]int64{}
		for _, l := range r.tally.Losses() {
			for _, what := range []string{"are left out", "lose those behind the cut", "lose the end"} {
				if strings.Contains(l.Text, what) {
					said[what] += l.Rows
				}
			}
		}
		between = between || said["lose those behind the cut"] == 1
		if d.RowsRead != 13 || d.Rows+d.Dropped != 13 || said["are left out"] != d.Dropped || said["lose the end"] != d.CutInAnswer ||
			d.CutInPrompt != said["are left out"]+said["lose those behind the cut"] {
			t.Errorf("max_sequence_length = %d: %+v, and it is said: %v", limit, d, r.tally.Losses())
		}
	}
	if !between {
		t.Error("no length cuts the conversation between its answers")
	}
}

// TestReasoningThatNobodyWrites: reasoning in a field of its own is told of if the
// chat template leaves it out, and calls of older kinds of tools as well.
func TestReasoningThatNobodyWrites(t *testing.T) {
	t.Parallel()
	const thought = `{"messages": [{"role": "user", "content": "1?"}, {"role": "assistant", "content": "1.", "reasoning_content": "old thought"}, {"role": "user", "content": "2?"}, {"role": "assistant", "content": "2.", "reasoning_content": "new thought"}]}`
	const call = `{"messages": [{"role": "user", "content": "1?"}, {"role": "assistant", "content": null, "function_call": {"name": "tide", "arguments": "{}"}}]}`
	r, err := try(t, thought+"\n"+call, "", nil)
	if got := fmt.Sprint(r.tally.Losses()); err != nil || !strings.Contains(got, "1 of 2 rows have reasoning beside their last answer") || !strings.Contains(got, "1 of 2 rows have tools or calls of tools") {
		t.Errorf("%s, %v", got, err)
	}
	template := "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if loop.last and m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
	r, err = try(t, thought, template, nil)
	if got := r.tally.Losses(); err != nil || len(got) > 0 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestRowsBeyondThePositions of the model are counted, as they are after they were cut.
func TestRowsBeyondThePositions(t *testing.T) {
	t.Parallel()
	lines := `{"question": "Where?", "answer": "` + strings.Repeat("At pier 4. ", 40) + `"}` + "\n" + pairs(2)
	for limit, want := range map[int]string{
		4096: key + ": 1 of 3 rows are longer than the 60 tokens that the model was made for (max_position_embeddings in its config.json): they are trained on whole",
		61:   key + ": 1 of 3 rows are longer than the 60 tokens",
		60:   "",
	} {
		r, err := tryModel(t, lines, "", 60, func(s *events.FineTuner) { s.MaxSequenceLength = limit })
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(r.tally.Losses())
		if n, _ := r.tally.Beyond(); (n == 1) != (want != "") || !strings.Contains(got, want) || want == "" && strings.Contains(got, "positions") {
			t.Errorf("max_sequence_length = %d: %d rows, %s", limit, n, got)
		}
	}
}

// TestMarkersNeverDecide where a row has roles: a note says what they mark instead.
func TestMarkersNeverDecide(t *testing.T) {
	t.Parallel()
	const row = `{"question": "Rewrite:\n<|im_start|>assistant\nshut", "answer": "The pier is closed."}` + "\n"
	for name, c := range map[string]struct {
		question, answer string
		want             []string
	}{
		"none":      {},
		"elsewhere": {"<|im_start|>user\n", "<|im_start|>assistant\n", []string{"mark another place", `"<|im_start|>user\n"`, "train.jsonl, line 1", `"The pier is closed.<|im_end|>\n"`}},
		"not there": {"<start_of_turn>user\n", "<start_of_turn>model\n", []string{"do not occur in the rendered rows, 3 of the first 3", `"<start_of_turn>model\n"`, `"The pier is closed.<|im_end|>\n"`}},
	} {
		r, err := try(t, strings.Repeat(row, 3), "", func(s *events.FineTuner) { s.QuestionPart, s.AnswerPart = c.question, c.answer })
		if err != nil {
			t.Fatal(err)
		}
		if r.learned[0] != "The pier is closed.<|im_end|>\n" {
			t.Errorf("%s: learns %q", name, r.learned[0])
		}
		notes := strings.Join(r.tally.Notes(), "\n")
		if (len(c.want) == 0) != (notes == "") {
			t.Errorf("%s: notes %q", name, notes)
		}
		for _, want := range c.want {
			if !strings.Contains(notes, strings.ReplaceAll(want, "\n", `\n`)) {
				t.Errorf("%s: %q does not say %q", name, notes, want)
			}
		}
	}
	same, err := try(t, pairs(3), "", func(s *events.FineTuner) {
		s.QuestionPart, s.AnswerPart = "<|im_start|>user\n", "<|im_start|>assistant\n"
	})
	if err != nil || len(same.tally.Notes()) > 0 {
		t.Errorf("%q, %v", same.tally.Notes(), err)
	}
	text, err := try(t, `{"text": "Q: Where? A: Here. Q: And?"}`+"\n"+`{"text": "It is late."}`, "", func(s *events.FineTuner) { s.QuestionPart, s.AnswerPart = "Q:", "A:" })
	if err != nil || text.learned[0] != " Here. " || text.learned[1] != "It is late.<|im_end|>" || !strings.Contains(strings.Join(text.tally.Notes(), ""), "do not occur in 1 of the first 2 rows") {
		t.Errorf("%q, %q, %v", text.learned, text.tally.Notes(), err)
	}
}

// TestConversations: turns, tools, the keys train_on and chat_template_kwargs, and
// the day of the run.
func TestConversations(t *testing.T) {
	t.Parallel()
	const turns = `{"messages": [{"role": "user", "content": "One?"}, {"role": "assistant", "content": "1."}, {"role": "user", "content": "Two?"}, {"role": "assistant", "content": [{"type": "text", "text": "2"}, {"type": "text", "text": "."}]}]}`
	r, err := try(t, turns, "", nil)
	if err != nil || len(r.learned) != 1 || r.learned[0] != "1.<|im_end|>\n2.<|im_end|>\n" {
		t.Errorf("%q, %v", r.learned, err)
	}
	r, err = try(t, turns, "", func(s *events.FineTuner) { s.TrainOn = "last" })
	if err != nil || r.learned[0] != "2.<|im_end|>\n" {
		t.Errorf("%q, %v", r.learned, err)
	}
	const tools = `{"tools": [{"type": "function", "function": {"name": "tide", "a": 1}}], "messages": [{"role": "user", "content": "How high?"}, {"role": "assistant", "content": "High."}]}`
	template := "{{ tools | tojson }} {{ strftime_now('%d %b') }} {{ mood }}\n{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
	r, err = try(t, tools, template, func(s *events.FineTuner) { s.ChatTemplateKwargs = `{"mood":"calm"}` })
	if want := `[{"type": "function", "function": {"name": "tide", "a": 1}}] 05 Mar calm` + "\n"; err != nil || !strings.HasPrefix(r.texts[0], want) {
		t.Errorf("%q, %v", r.texts, err)
	}
	split := "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content if loop.last else m.content[:1] }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
	r, err = try(t, turns, split, nil)
	if err != nil || len(r.learned) != 2 {
		t.Fatalf("%q, %v", r.learned, err)
	}
	d := r.tally.Dataset()
	if notes := strings.Join(r.tally.Notes(), ""); d.Rows != 1 || d.Examples != 2 || !strings.Contains(notes, "1 of 1 rows became one example for each answer") {
		t.Errorf("%+v, %q", d, notes)
	}
}

// TestToolsThatNobodyWrites: a template that leaves out tools, or their calls, is told
// of; one that writes them is not.
func TestToolsThatNobodyWrites(t *testing.T) {
	t.Parallel()
	const begin, end = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}", "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
	calls := `{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "tool_calls": [{"type": "function", "function": {"name": "find_tide", "arguments": {}}}]}, {"role": "tool", "content": "2"}, {"role": "assistant", "content": "3"}]}` + "\n"
	tools := `{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}], "tools": [{"type": "function", "function": {"name": "find_tide"}}]}` + "\n"
	plain := `{"messages": [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]}` + "\n"
	for template, lost := range map[string]int{
		begin + end: 2,
		begin + "{% for c in m.tool_calls or [] %}{{ c | tojson }}{% endfor %}" + end:                                                             1,
		begin + "{% for c in m.tool_calls or [] %}{{ c | tojson }}{% endfor %}{% if tools and loop.first %}{{ tools | tojson }}{% endif %}" + end: 0,
	} {
		r, err := try(t, calls+tools+plain, template, nil)
		if err != nil {
			t.Fatal(err)
		}
		losses := fmt.Sprint(r.tally.Losses())
		if want := fmt.Sprintf("%d of 3 rows have tools or calls of tools that the model's chat template does not write", lost); (lost > 0) != strings.Contains(losses, want) || r.tally.Failure() != nil {
			t.Errorf("%s\n%s, %v; want %d", template, losses, r.tally.Failure(), lost)
		}
	}
}
