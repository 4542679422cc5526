package runcmd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// answersFile writes a file of answers, and returns the folder and the path.
func answersFile(t *testing.T, name, content string) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

// TestAnswersAlone: a file of answers means evaluation alone, whatever a
// specification for whole runs enables, and under which names it is read is said.
func TestAnswersAlone(t *testing.T) {
	t.Parallel()
	dir, path := answersFile(t, "mine.jsonl", `{"user_input": "q1", "reference": "At pier four today.", "response": "At pier four today."}
{"user_input": "q2", "reference": null, "response": "Who knows?"}
`)
	config := filepath.Join(dir, "whole.toml")
	body := "[fine_tuner]\nbase_model_id = \"a/b\"\ntraining_data_id = \"a/c\"\n[inferencer]\ntesting_data_id = \"a/d\"\n" +
		"[pipeline]\nenable_finetuning = true\nenable_inference = true\n[evaluator]\nmetrics = [\"exact_match\", \"bleu_score\"]\n[evaluator.gates]\nexact_match = 0.5\n"
	if err := os.WriteFile(config, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"run", "--json", "--config", config, "--predictions", path}, clitest.Folders(dir)...)
	status, out, screen := clitest.Run(t, args...)
	got := clitest.ReadSummary(t, out)
	if status != 4 || got.Scores["exact_match"] != 1 || got.Scores["bleu_score"] <= 0 {
		t.Errorf("status %d, scores %v\n%s", status, got.Scores, screen)
	}
	for _, want := range []string{
		`is read under RAGAS's names: the question in "user_input", the ground truth in "reference", the answer in "response"`,
		path + ": of 2 rows 1 have no ground truth and 0 have no answer",
		"1 of 2 rows have no score: the row has no ground truth", "gate exact_match is missed: 1 of 2 rows have the score, 100 % are needed",
	} {
		if !strings.Contains(screen, want) {
			t.Errorf("the screen lacks %q:\n%s", want, screen)
		}
	}
	if strings.Contains(screen, "finetune") || strings.Contains(screen, "inference ") {
		t.Errorf("another phase ran:\n%s", screen)
	}
	clitest.InWorkbook(t, got.Links["evaluator_output_detailed.xlsx"], 2, got.Scores)

	// With the coverage lowered, the gate is met.
	if status, _, screen := clitest.Run(t, append(args, "--set", "evaluator.gate_coverage=0.5")...); status != 0 {
		t.Errorf("with half of the rows: status %d\n%s", status, screen)
	}
}

// TestAnswersRefused: what is wrong with a file of answers is said before anything
// starts, once, with the person's own name for the file.
func TestAnswersRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file, content string
		args          []string
		want          []string
	}{
		"unknown names": {"mine.jsonl", `{"foo":1}`, nil, []string{
			"--predictions: ", "mine.jsonl: there is no question, ground truth or answer under a known name; it has foo", "evaluator.answer_column",
		}},
		"broken":         {"mine.jsonl", `{"question": "q", "answer"`, nil, []string{"--predictions: ", "mine.jsonl, line 1"}},
		"a list":         {"mine.jsonl", `{"question": "q", "ground_truth": "t", "answer": ["a"]}`, nil, []string{`mine.jsonl, line 1, column "answer": it holds a list, not text`}},
		"no answers":     {"mine.jsonl", `{"question": "q", "ground_truth": "t", "answer": null}`, nil, []string{"mine.jsonl: none of 1 rows has an answer", "evaluator.answer_column"}},
		"no truths":      {"mine.jsonl", `{"question": "q", "ground_truth": null, "answer": "a"}`, nil, []string{"mine.jsonl: none of 1 rows has a ground truth", "inferencer.ground_truth_column"}},
		"delimiter":      {"mine.csv", "question^ground_truth^answer\nq^t^a\n", nil, []string{`set inferencer.data_delimiter = "^"`}},
		"named column":   {"mine.jsonl", `{"question": "q", "ground_truth": "t", "answer": "a"}`, []string{"--set", "evaluator.answer_column=reply"}, []string{`no column "reply"`, "it has question, ground_truth, answer"}},
		"with inference": {"mine.jsonl", `{"question": "q", "ground_truth": "t", "answer": "a"}`, []string{"--enable-inference", "--config", clitest.Quickstart()}, []string{"--predictions: takes the place of inference"}},
		"a gate on nothing": {"mine.jsonl", `{"question": "q", "ground_truth": "t", "answer": "a"}`, []string{"--set", "evaluator.gates.chrf=0.5"}, []string{
			"evaluator.gates.chrf = 0.5: no metric of evaluator.metrics has this score", `the metric "chrf" has it`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, path := answersFile(t, c.file, c.content)
			for _, verb := range [][]string{append([]string{"run"}, clitest.Folders(dir)...), {"submit", "--server", "nats://127.0.0.1:1"}} {
				status, out, screen := clitest.Run(t, append(append(verb, "--predictions", path), c.args...)...)
				if status != 2 || strings.Contains(screen, "evaluation") && !strings.Contains(screen, "tunebus: ") {
					t.Errorf("%s: status %d\n%s%s", verb[0], status, out, screen)
				}
				for _, want := range c.want {
					if strings.Count(screen, want) != 1 {
						t.Errorf("%s: %q is on the screen %d times:\n%s", verb[0], want, strings.Count(screen, want), screen)
					}
				}
			}
		})
	}
}

// TestAnswersOfADevice: a file that never ends is refused and not read.
func TestAnswersOfADevice(t *testing.T) {
	t.Parallel()
	status, _, screen := clitest.Run(t, append([]string{"run", "--predictions", "/dev/zero"}, clitest.Folders(t.TempDir())...)...)
	if status != 2 || strings.Count(screen, "--predictions = /dev/zero") != 1 {
		t.Errorf("status %d\n%s", status, screen)
	}
}
