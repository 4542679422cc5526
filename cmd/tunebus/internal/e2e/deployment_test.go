package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

// testDeployment is NATS, an intake and a tracker, each a separate process. The tests
// start and stop the workers.
type testDeployment struct {
	dir, url string
	env      []string
	bus      *conn.Conn
	services []*processes.Process // the intake and the tracker
}

// usualAckWait is the ack wait that "tunebus setup" sets by default.
const usualAckWait = 30 * time.Second

// newTestDeployment starts the processes, with variables of their own.
func newTestDeployment(t *testing.T, ackWait time.Duration, env ...string) *testDeployment {
	t.Helper()
	dir, port := t.TempDir(), fmt.Sprint(processes.FreePort(t))
	s := &testDeployment{dir: dir, url: "nats://127.0.0.1:" + port}
	s.env = append([]string{
		"TUNEBUS_BUS_URL=" + s.url,
		"TUNEBUS_ARTIFACTS_URL=file://" + filepath.Join(dir, "artifacts"),
		"TUNEBUS_DATA_ROOTS=" + filepath.Join(processes.Root(), "configs", "quickstart"),
		"TUNEBUS_SERVICES_TRACKER_TRACKING_URI=file:" + filepath.Join(dir, "mlruns"),
		"TUNEBUS_SERVICES_TRACKER_REPORTS=" + filepath.Join(dir, "reports"),
	}, env...)
	programs.Start(t, dir, processes.NATS, nil, "-js", "-a", "127.0.0.1", "-p", port, "-sd", filepath.Join(dir, "nats"))
	programs.Start(t, dir, processes.Tunebus, s.env, "setup", "--wait", "30s", "--ack-wait", ackWait.String()).Wait(t, time.Minute)
	for _, program := range []string{processes.Intake, processes.Tracker} {
		s.services = append(s.services, programs.Start(t, dir, program, s.env))
	}
	var err error
	if s.bus, err = conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: s.url, Name: "test"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.bus.Close)
	return s
}

// request requests a run of the quickstart's model on few rows. With many epochs it
// takes minutes.
func (s *testDeployment) request(t *testing.T, id string, epochs int, pipeline map[string]any, files map[string]events.Reference) {
	t.Helper()
	if pipeline == nil {
		pipeline = map[string]any{}
	}
	specification, err := json.Marshal(map[string]any{
		"fine_tuner": map[string]any{
			"base_model_id": "base-model", "training_data_id": "validation.jsonl", "max_sequence_length": 64, "full_finetuning": true,
			"device_train_batch_size": 4, "grad_accumulation": 1, "warmup_steps": 1, "epochs": epochs, "save_steps": 5,
		},
		"inferencer": map[string]any{"testing_data_id": "validation.jsonl"},
		"mlflow":     map[string]any{"run_name": id},
		"pipeline":   pipeline,
	})
	if err != nil {
		t.Fatal(err)
	}
	req := events.PipelineRequested{RunID: id, Specification: specification, Inputs: events.Inputs{Files: files}}
	if _, err := journal.New(s.bus).Publish(t.Context(), req, journal.Fence{}); err != nil {
		t.Fatal(err)
	}
}

func (s *testDeployment) publish(t *testing.T, evs ...events.Event) {
	t.Helper()
	for _, ev := range evs {
		if _, err := journal.New(s.bus).Publish(t.Context(), ev, journal.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
}

// until waits until ok accepts the run, and returns the run.
func (s *testDeployment) until(t *testing.T, id, what string, ok func(events.Run) bool) events.Run {
	t.Helper()
	var run events.Run
	processes.Eventually(t, 5*time.Minute, id+": "+what, func() error {
		var err error
		if run, err = history.New(s.bus).Run(t.Context(), id); err == nil && !ok(run) {
			err = fmt.Errorf("it is %s", run.Status())
		}
		return err
	})
	return run
}

// waitForJob waits for the job of a phase.
func (s *testDeployment) waitForJob(t *testing.T, id string, p events.Phase) events.Run {
	t.Helper()
	return s.until(t, id, "the job of "+string(p), func(r events.Run) bool { return r.Phases[p] != nil && r.Phases[p].Requested != nil })
}

// waitForCheckpoint waits until fine-tuning has saved a checkpoint, and so has begun
// its work.
func (s *testDeployment) waitForCheckpoint(t *testing.T, id string) {
	t.Helper()
	processes.Eventually(t, 2*time.Minute, id+" saves a checkpoint", func() error {
		_, err := checkpoint.New(s.bus).Load(t.Context(), id, events.Finetune)
		return err
	})
}

// storedAt is when the stream stored a fact.
func (s *testDeployment) storedAt(t *testing.T, fact events.Fact) time.Time {
	t.Helper()
	m, err := history.New(s.bus).Latest(t.Context(), fact.Subject())
	if err != nil {
		t.Fatal(err)
	}
	return m.Time
}

// mlflowStatus is the status of each MLflow run of a run, by phase.
func (s *testDeployment) mlflowStatus(t *testing.T, id string) map[string]string {
	t.Helper()
	tags, err := filepath.Glob(filepath.Join(s.dir, "mlruns", "*", "*", "tags", "tunebus.run_id"))
	if err != nil {
		t.Fatal(err)
	}
	read := func(path ...string) string {
		body, err := os.ReadFile(filepath.Join(path...))
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	out := map[string]string{}
	for _, tag := range tags {
		if read(tag) != id {
			continue
		}
		_, rest, _ := strings.Cut(read(tag, "..", "..", "meta.yaml"), "\nstatus: ")
		out[read(tag, "..", "tunebus.phase")] = rest[:1]
	}
	return out
}

// putArtifact stores an artifact.
func (s *testDeployment) putArtifact(t *testing.T, name string) events.Reference {
	t.Helper()
	store, err := artifact.Open(t.Context(), "file://"+filepath.Join(s.dir, "artifacts"))
	if err != nil {
		t.Fatal(err)
	}
	ref, err := store.Put(t.Context(), "uploads/"+name, "application/octet-stream", strings.NewReader("{\"question\":\"who?\",\"answer\":\"nobody\"}\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return ref
}
