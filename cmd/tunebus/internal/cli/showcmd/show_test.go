package showcmd_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestShowDetails: show has the model, the data with rows and digests, labels, the
// curve of the loss, scores beside the base model's, attempts, the reason of a cancel,
// and where the artifacts lie.
func TestShowDetails(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	var history strings.Builder
	for step := range 40 {
		fmt.Fprintf(&history, "{\"key\":\"loss\",\"value\":%g,\"step\":%d}\n{\"key\":\"grad_norm\",\"value\":1,\"step\":%d}\n", 4-0.05*float64(step), step+1, step+1)
	}
	metrics := f.Put(t, "r", "metrics.jsonl", history.String())
	metrics.Name = events.ArtifactMetrics
	at := time.Now().Add(-time.Hour)
	plan := []events.Step{{Phase: events.Finetune, Queue: "builtin"}, {Phase: events.Evaluation, Queue: "builtin"}}
	specification := events.Specification{
		FineTuner: events.FineTuner{BaseModelID: "models/tiny", TrainingDataID: "my/train.jsonl"},
		Evaluator: events.Evaluator{Metrics: []string{"rouge_score"}},
	}
	digest := strings.Repeat("ab", 32)
	scores, baseline := map[string]float64{"rouge_score": 0.75}, map[string]float64{"rouge_score": 0.25}
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b,
			events.PipelineAccepted{RunID: "r", RunName: "steer\x1b[31m", RequestedAt: at, Plan: plan, Specification: specification, Labels: map[string]string{"team": "search"}},
			events.PhaseRequested{RunID: "r", Phase: events.Finetune, Queue: "builtin", Plan: plan},
			events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 1, Worker: "w1"},
			events.AttemptEnded{RunID: "r", Phase: events.Finetune, Attempt: 1, Reason: events.EndError, Error: &events.Problem{Code: "out_of_memory", Message: "no memory\x07"}},
			events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 2, Worker: "w2"},
			events.PhaseCompleted{
				RunID: "r", Phase: events.Finetune, Attempt: 2, Conclusion: events.Success, Artifacts: []events.Artifact{metrics},
				Datasets: []events.Dataset{{Key: "fine_tuner.training_data_id", SHA256: digest, Size: 1000, Rows: 8, RowsRead: 10, WithoutAnswer: 2}},
			},
			events.PhaseRequested{RunID: "r", Phase: events.Evaluation, Queue: "builtin", Plan: plan},
			events.PhaseStarted{RunID: "r", Phase: events.Evaluation, Attempt: 1, Worker: "w1"},
			events.CancelRequested{RunID: "r", By: "kim", Reason: "wrong data"},
			events.PhaseCompleted{RunID: "r", Phase: events.Evaluation, Attempt: 1, Conclusion: events.Cancelled, Scores: scores, BaselineScores: baseline},
			events.PipelineCompleted{RunID: "r", Conclusion: events.Cancelled, DurationSeconds: 5, Scores: scores, BaselineScores: baseline},
		)
	})
	status, out, screen := clitest.Run(t, "show", "r", "--data", f.Dir)
	if status != 0 {
		t.Fatalf("status %d, %s", status, screen)
	}
	for _, part := range []string{
		`steer\u001b[31m (r): cancelled`, "labels: team=search", "base model: models/tiny", "cancel asked for by kim: wrong data",
		"fine_tuner.training_data_id: my/train.jsonl\n  10 rows, 8 used, 2 without an answer, 1.0 kB\n  sha256 " + digest,
		"loss: 4.0000 at step 1, 2.0500 at step 40", "█", "   4.0000 │", "2.0500 │",
		"rouge_score  0.250       0.750", `out_of_memory: no memory\u0007`, metrics.Reference.Key, metrics.Reference.SHA256, metrics.Reference.Store,
	} {
		if !strings.Contains(out, part) {
			t.Errorf("show lacks %q", part)
		}
	}
	if strings.ContainsAny(out, "\x1b\x07") || t.Failed() {
		t.Errorf("show:\n%q", out)
	}
	var shown struct {
		Model         string `json:"base_model"`
		MainScore     struct{ Value float64 }
		Specification events.Specification
		Loss          struct {
			Training struct {
				Points []struct{ Step int64 }
				Last   float64
			}
		}
		Cancel events.CancelRequested
	}
	clitest.Result(t, &shown, "show", "r", "--data", f.Dir)
	if shown.Model != "models/tiny" || shown.Specification.FineTuner.TrainingDataID != "my/train.jsonl" || len(shown.Loss.Training.Points) != 40 || shown.Cancel.By != "kim" {
		t.Errorf("show --json: %+v", shown)
	}
}
