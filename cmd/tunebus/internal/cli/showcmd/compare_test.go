package showcmd_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// evaluated are the facts of a run whose rows have scores; a negative score is none.
func evaluated(t *testing.T, f *clitest.DataFolder, run string, maxNewTokens int, questions []string, scores []float64) []events.Event {
	t.Helper()
	var text strings.Builder
	for i, question := range questions {
		row := map[string]any{"index": i, "question": question, "ground_truth": "truth", "answer": "of " + run + "\x1b to " + question}
		if scores[i] >= 0 {
			row["scores"] = map[string]float64{"rouge_score": scores[i]}
		}
		line, err := json.Marshal(row)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&text, "%s\n", line)
	}
	rows := f.Put(t, run, "scores.jsonl", text.String())
	rows.Name = events.ArtifactScores
	facts := scoredRun(run, 1, nil)
	accepted := facts[0].(events.PipelineAccepted)
	accepted.Specification.Inferencer.MaxNewTokens = maxNewTokens
	facts[0] = accepted
	done := facts[3].(events.PhaseCompleted)
	done.Artifacts = []events.Artifact{rows}
	facts[3] = done
	return facts
}

// TestCompare: keys that differ, scores side by side, and the rows that changed most,
// which are found wherever they stand in the data.
func TestCompare(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	first := evaluated(t, f, "first", 10, []string{"a", "b", "twice", "twice", "gone", "e"}, []float64{0.5, 0.9, 0.1, 0.2, 1, -1})
	second := evaluated(t, f, "second", 20, []string{"e", "b", "a", "twice", "twice", "new"}, []float64{0.3, 0.2, 0.5, 0.1, 0.6, 0})
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, first...)
		clitest.Publish(t, b, second...)
		clitest.Publish(t, b, scoredRun("rowless", 1, nil)...)
	})
	status, out, screen := clitest.Run(t, "compare", "first", "second", "--data", f.Dir, "--rows", "2")
	if status != 0 {
		t.Fatalf("status %d, %s", status, screen)
	}
	for _, part := range []string{
		"inferencer.max_new_tokens: 10 -> 20\n", "rouge_score  0.750  0.750  +0.000\n",
		"ROWS by rouge_score: 4 rows in both, 1 better in B, 1 worse, 2 the same\n", "not compared: 1 in A alone, 1 in B alone, 1 without the score in one of them\n",
		"row 1: 0.900 -> 0.200 (-0.700)\n", "row 3 of A, 4 of B: 0.200 -> 0.600 (+0.400)\n", `of first\u001b to b`, `of second\u001b to b`,
	} {
		if !strings.Contains(out, part) {
			t.Errorf("compare lacks %q", part)
		}
	}
	if strings.Contains(out, "\x1b") || t.Failed() {
		t.Errorf("compare:\n%s", out)
	}
	var c struct {
		Specification []struct{ Key, A, B string }
		Scores        []struct{ Name string }
		Rows          struct {
			Compared, Better, Worse, Same int
			Changed                       []struct {
				AnswerA string `json:"answer_a"`
				Digest  string
			}
		}
	}
	clitest.Result(t, &c, "compare", "first", "second", "--data", f.Dir)
	if len(c.Specification) != 1 || len(c.Rows.Changed) != 2 || c.Rows.Changed[0].AnswerA != "of first\x1b to b" || c.Rows.Changed[0].Digest == "" {
		t.Errorf("compare --json: %+v", c)
	}
	status, out, screen = clitest.Run(t, "compare", "first", "rowless", "--data", f.Dir)
	if status != 0 || !strings.Contains(out, "run rowless has no scores of rows") {
		t.Errorf("a run without rows: status %d, %s%s", status, out, screen)
	}
	if status, _, screen := clitest.Run(t, "compare", "first", "second", "--metric", "nosuch", "--data", f.Dir); status != int(exit.CodeInput) ||
		!strings.Contains(screen, "--metric nosuch: neither run has this score; want one of ") || !strings.Contains(screen, "rouge_score") {
		t.Errorf("an unknown metric: status %d, %s", status, screen)
	}
	status, out, screen = clitest.Run(t, "compare", "first", "second", "--metric", "rougeL", "--data", f.Dir)
	if status != 0 || !strings.Contains(out, "there is no score that rows of both runs have: run first has rouge_score; run second has rouge_score") {
		t.Errorf("a metric that no row has: status %d, %s%s", status, out, screen)
	}
	if err := os.Remove(filepath.Join(f.Dir, "artifacts", "runs", "second", "inference", "1", "scores.jsonl")); err != nil {
		t.Fatal(err)
	}
	status, out, screen = clitest.Run(t, "compare", "first", "second", "--data", f.Dir)
	if status != int(exit.CodeError) || !strings.Contains(out, "the scores of the rows of run second cannot be read") || !strings.Contains(out, "rouge_score  0.750") {
		t.Errorf("scores that are gone: status %d, %s%s", status, out, screen)
	}
	for _, args := range [][]string{{"first"}, {"first", "first"}, {"first", "nobody"}, {"first", "second", "--rows", "-1"}} {
		if status, _, screen := clitest.Run(t, append([]string{"compare", "--data", f.Dir}, args...)...); status != int(exit.CodeInput) {
			t.Errorf("compare %v: status %d, %s", args, status, screen)
		}
	}
}
