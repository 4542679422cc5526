package clitest

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
)

// small is a specification that takes seconds, with paths of its own folder.
const small = `[fine_tuner]
base_model_id = "base-model"
training_data_id = "rows.jsonl"
max_sequence_length = 64
rank = 2
epochs = 2
grad_accumulation = 1
warmup_steps = 1
[inferencer]
testing_data_id = "rows.jsonl"
temperature = 0.0
max_new_tokens = 4
baseline = true
[evaluator]
metrics = ["rouge_score", "key_fact"]
`

// SmallRows is how many rows the data of the small specification has.
const SmallRows = 6

// Services are services that stay up, with a folder of specifications and data
// to submit to them.
type Services struct {
	// Dir is the folder. It has small.toml, rows.jsonl, columns.jsonl (whose
	// columns have other names), answers.jsonl, other-answers.jsonl (to other
	// questions) and gate.toml.
	Dir string
	// URL is the address of the NATS server, and Bus a connection to it.
	URL string
	Bus *conn.Conn
}

// NewServices starts services.
func NewServices(t *testing.T) Services {
	t.Helper()
	s := Services{Dir: t.TempDir()}
	quick := filepath.Join(Root(), "configs", "quickstart")
	if err := os.Symlink(filepath.Join(quick, "base-model"), filepath.Join(s.Dir, "base-model")); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(Text(t, filepath.Join(quick, "validation.jsonl")), "\n")[:SmallRows]
	Write(t, s.Dir, "rows.jsonl", strings.Join(rows, "\n"))
	Write(t, s.Dir, "small.toml", small)
	Write(t, s.Dir, "columns.jsonl", `{"prompt":"q","reply":"a"}`)
	Write(t, s.Dir, "other-answers.jsonl", strings.Repeat(`{"question":"q","ground_truth":"t","answer":"a"}`+"\n", 2))
	Write(t, s.Dir, "answers.jsonl", `{"question":"Who?","ground_truth":"Ada did it.","answer":"Ada did it.","key_fact":"Ada"}
{"question":"Where?","ground_truth":"In Paris.","answer":"In Rome.","key_fact":"Paris"}`)
	Write(t, s.Dir, "gate.toml", "[evaluator.gates]\nkey_fact_accuracy = 0.9")
	s.URL = Up(t, s.Dir)
	s.Bus = Connect(t, conn.Options{URL: s.URL, Name: "test"})
	return s
}

// Artifacts is the address of the services' artifact store.
func (s Services) Artifacts() string { return folderaddress.Of(s.Dir + "/data/artifacts") }

// Submit submits the small specification and waits until it is tracked. It
// calls meanwhile, if it is not nil, during the wait.
func (s Services) Submit(t *testing.T, meanwhile func(*testing.T), args ...string) (status int, got Summary, screen string) {
	t.Helper()
	var out string
	done := make(chan struct{})
	go func() {
		defer close(done)
		status, out, screen = Run(t, append([]string{
			"submit", "--json", "--wait=tracked", "--server", s.URL, "--artifacts", s.Artifacts(), "--config", s.Dir + "/small.toml",
		}, args...)...)
	}()
	if meanwhile != nil {
		meanwhile(t)
	}
	<-done
	if out == "" {
		t.Fatalf("status %d\n%s", status, screen)
	}
	return status, ReadSummary(t, out), screen
}

// Summary is the JSON of a run's end.
type Summary struct {
	RunID    string             `json:"run_id"`
	RunName  string             `json:"run_name"`
	Status   string             `json:"status"`
	Scores   map[string]float64 `json:"scores"`
	Baseline map[string]float64 `json:"baseline_scores"`
	Links    map[string]string  `json:"links"`
	Pending  bool               `json:"tracking_pending"`
}

// ReadSummary reads the JSON of a run's end.
func ReadSummary(t *testing.T, out string) Summary {
	t.Helper()
	var s Summary
	if err := json.Unmarshal([]byte(out), &s); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return s
}

// Connect connects to a server for the length of a test.
func Connect(t *testing.T, o conn.Options) *conn.Conn {
	t.Helper()
	b, err := conn.Connect(context.WithoutCancel(t.Context()), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// The types of a run's facts, in the order of the stream, as [FactTypes] joins
// them.
const (
	FactsBegin      = "pipeline.accepted "
	FactsFinetune   = "finetune.requested finetune.started finetune.completed "
	FactsInference  = "inference.requested inference.started inference.completed "
	FactsEvaluation = "evaluation.requested evaluation.started evaluation.completed "
	FactsEnd        = "pipeline.completed tracking.completed"
)

// FactTypes reads the facts of a run: their types in the order of the stream,
// and the fact of the run's end.
func FactTypes(t *testing.T, b *conn.Conn, run string) (types string, end events.PipelineCompleted) {
	t.Helper()
	facts, err := history.New(b).Facts(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, m := range facts {
		all = append(all, m.Event.Type())
		if c, ok := m.Event.(events.PipelineCompleted); ok {
			end = c
		}
	}
	return strings.Join(all, " "), end
}

// Rejected waits for the rejection of a request.
func (s Services) Rejected(t *testing.T, request uint64) (rejected events.PipelineRejected) {
	t.Helper()
	Eventually(t, "the rejection", func() bool {
		m, err := history.New(s.Bus).Latest(t.Context(), events.PipelineRejected{RequestSequence: request}.Subject())
		if err == nil {
			rejected = m.Event.(events.PipelineRejected)
		}
		return err == nil
	})
	return rejected
}
