package trainer_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestPairs: for a method that learns from preferences the job file has a prompt and two
// answers in each line, as tokens and as messages, in one order.
func TestPairs(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	rows := ""
	for i := range 10 {
		rows += fmt.Sprintf(`{"prompt":"What is %d?","chosen":"It is %d.","rejected":"I do not know."}`+"\n", i, i*i)
	}
	h.Write(t, "rows.jsonl", rows)
	out := filepath.Join(t.TempDir(), "seen")
	prefers := func(s *events.Specification) {
		small(s)
		s.FineTuner.Method = "dpo"
	}
	c := h.Run(t, newEngine(script(t, "testdata/rude.py"), "RUDE=look", "LOOK="+out, "KEYS=method"), events.Finetune, events.Inputs{}, prefers)
	if c.Conclusion != events.Success || c.Datasets[0].Rows != 10 {
		t.Fatalf("it completed as %s: %+v", c.Conclusion, c.Error)
	}
	var seen struct {
		Job struct {
			Training struct {
				Rows, Examples, Longest int
				Pairs                   bool
			}
		}
		Tokens   []struct{ Prompt, Chosen, Rejected []int }
		Messages []struct {
			Messages, Rejected []struct{ Role, Content string }
			Prompted           int
		}
	}
	body, err := os.ReadFile(out)
	if err == nil {
		err = json.Unmarshal(body, &seen)
	}
	if err != nil {
		t.Fatal(err)
	}
	if j := seen.Job.Training; !j.Pairs || j.Rows != 10 || j.Examples != 10 || len(seen.Tokens) != 10 || len(seen.Messages) != 10 {
		t.Fatalf("the job file is %+v, with %d and %d rows", j, len(seen.Tokens), len(seen.Messages))
	}
	var rejected []int
	var order []string
	for i, m := range seen.Messages {
		tokens := seen.Tokens[i]
		if len(m.Messages) != 2 || m.Prompted != 1 || len(m.Rejected) != 1 || m.Rejected[0].Content != "I do not know." {
			t.Errorf("row %d is %+v", i, m)
		}
		if len(tokens.Prompt) == 0 || len(tokens.Chosen) == 0 || i > 0 && !slices.Equal(tokens.Rejected, rejected) {
			t.Errorf("row %d is %+v", i, tokens)
		}
		rejected = tokens.Rejected
		order = append(order, m.Messages[0].Content)
	}
	if slices.IsSorted(order) {
		t.Errorf("the rows are not shuffled: %q", order)
	}
	h.Write(t, "rows.jsonl", `{"question":"1","answer":"2"}`)
	c = h.Run(t, newEngine(script(t, "testdata/rude.py"), "RUDE=look", "LOOK="+out, "KEYS=method"), events.Finetune, events.Inputs{}, prefers)
	if c.Error == nil || c.Error.Code != "bad_dataset" {
		t.Errorf("questions and answers: it completed as %s with %+v", c.Conclusion, c.Error)
	}
}
