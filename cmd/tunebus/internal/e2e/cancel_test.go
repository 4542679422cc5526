package e2e_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// The longest time from a request to cancel to the end of the run, and the time that
// a busy machine may add.
const (
	cancelBound = 2 * time.Second
	cancelSlack = 2 * time.Second
)

// cancel runs "tunebus cancel".
func (s *testDeployment) cancel(t *testing.T, id string) (status int, output string) {
	t.Helper()
	output, status = shell(t, "tunebus cancel "+id+" --json --server "+s.url)
	return status, output
}

// cancelAndCheck cancels a run by the command. It wants the run to end in time, and
// its MLflow runs to be killed, but not those of finished phases. It returns the run.
func (s *testDeployment) cancelAndCheck(t *testing.T, id string, finished ...events.Phase) events.Run {
	t.Helper()
	status, output := s.cancel(t, id)
	var got struct {
		Status string
		Phases []events.PhaseResult
	}
	if err := json.Unmarshal([]byte(output), &got); err != nil || status != 0 {
		t.Fatalf("status %d, %v\n%s", status, err, output)
	}
	if got.Status != "cancelled" || len(got.Phases) != len(finished)+1 {
		t.Fatalf("the run is %s with %d phases\n%s", got.Status, len(got.Phases), output)
	}
	run := s.until(t, id, "tracking", func(r events.Run) bool { return r.Completed != nil && r.Tracked != nil })
	asked := s.storedAt(t, events.CancelRequested{RunID: id})
	took := s.storedAt(t, events.PipelineCompleted{RunID: id}).Sub(asked)
	t.Logf("%s: the run ended %s after the cancel was stored", id, took.Round(time.Millisecond))
	if run.Completed.Conclusion != events.Cancelled || took > cancelBound+cancelSlack {
		t.Errorf("ended %s after %s, want %s", run.Completed.Conclusion, took, cancelBound)
	}
	want := map[string]string{"pipeline": "5"} // KILLED
	for p := range run.Phases {
		want[string(p)] = "5"
	}
	for _, p := range finished {
		want[string(p)] = "3" // FINISHED
		if run.Phases[p].Completed.Conclusion != events.Success || len(run.Phases[p].Completed.Artifacts) == 0 {
			t.Errorf("%s: %+v", p, run.Phases[p].Completed)
		}
	}
	if got := s.mlflowStatus(t, id); !maps.Equal(got, want) {
		t.Errorf("MLflow has %v, want %v", got, want)
	}
	return run
}

// TestCancelInEveryState cancels runs by the command, each in another state. Each run
// ends within two seconds. Its finished phases keep their results, the MLflow runs of
// the others are killed. The ack wait is the usual one of 30 s, so no run waits for a
// redelivery.
func TestCancelInEveryState(t *testing.T) {
	t.Parallel()
	s := newTestDeployment(t, usualAckWait)
	started := events.PhaseStarted{RunID: "between", Phase: events.Finetune, Attempt: 1, Worker: "dead"}
	now := time.Now().UTC()
	only := map[string]any{"stop_after_finetuning": true}

	s.request(t, "queued", 1, nil, nil)
	s.waitForJob(t, "queued", events.Finetune)
	s.cancelAndCheck(t, "queued")

	// The worker stored the end of its phase and died before it published the next job.
	s.request(t, "between", 1, nil, nil)
	s.waitForJob(t, "between", events.Finetune)
	model := events.Artifact{Name: events.ArtifactModel, Reference: s.putArtifact(t, "between.txt")}
	s.publish(t, started, events.PhaseCompleted{
		RunID: "between", Phase: events.Finetune, Attempt: 1, Conclusion: events.Success, StartedAt: now, EndedAt: now, Artifacts: []events.Artifact{model},
	})
	s.cancelAndCheck(t, "between", events.Finetune)

	worker := programs.Start(t, s.dir, processes.Finetune, s.env)
	s.request(t, "running", 500, nil, nil)
	s.waitForCheckpoint(t, "running")
	if p := s.cancelAndCheck(t, "running").Phases[events.Finetune]; len(p.Attempts) != 1 || p.Attempts[0].Started.Worker == "intake" {
		t.Errorf("the worker did not end its phase: %+v", p.Results())
	}

	s.request(t, "next", 1, nil, nil)
	s.waitForJob(t, "next", events.Inference) // which has no worker
	s.cancelAndCheck(t, "next", events.Finetune)

	// A damaged artifact is retried after an hour.
	damaged := s.putArtifact(t, "damaged.jsonl")
	if err := os.WriteFile(filepath.Join(s.dir, "artifacts", filepath.FromSlash(damaged.Key)), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.request(t, "backoff", 1, map[string]any{"backoff": "1h"}, map[string]events.Reference{"fine_tuner.training_data_id": damaged})
	s.until(t, "backoff", "an attempt that failed", func(r events.Run) bool { return r.Phases[events.Finetune].Tries() == 1 })
	s.cancelAndCheck(t, "backoff")

	s.request(t, "deadline", 500, map[string]any{"deadline": "8s"}, nil)
	deadlined := s.until(t, "deadline", "the end", func(r events.Run) bool { return r.Completed != nil && r.Tracked != nil })
	over := s.storedAt(t, events.PipelineCompleted{RunID: "deadline"}).Sub(deadlined.Accepted.RequestedAt.Add(8 * time.Second))
	t.Logf("deadline: the run ended %s after its deadline", over.Round(time.Millisecond))
	if deadlined.Completed.Conclusion != events.Cancelled || deadlined.Cancel.By != "deadline" {
		t.Errorf("ended %s by %+v", deadlined.Completed.Conclusion, deadlined.Cancel)
	}
	if over < 0 || over > cancelBound+cancelSlack {
		t.Errorf("ended %s after its deadline, want %s at most", over, cancelBound)
	}
	if got := s.mlflowStatus(t, "deadline"); got["pipeline"] != "5" || got["finetune"] != "5" {
		t.Errorf("MLflow has %v", got)
	}

	s.request(t, "whole", 1, only, nil)
	s.until(t, "whole", "the end", func(r events.Run) bool { return r.Completed != nil })

	s.request(t, "killed", 500, nil, nil)
	s.waitForCheckpoint(t, "killed")
	worker.Kill(t) // there is no other worker
	s.cancelAndCheck(t, "killed")

	for _, c := range []struct {
		id     string
		status int
		want   string
	}{
		{"killed", 0, `"status": "cancelled"`}, // for the second time
		{"whole", 2, `"status": "success"`},
		{"unknown", 2, "run unknown is unknown on"},
	} {
		status, output := s.cancel(t, c.id)
		if status != c.status || !strings.Contains(output, c.want) || c.id != "unknown" && !strings.Contains(output, `"cancel_requested": false`) {
			t.Errorf("%s: status %d, want %d and %s\n%s", c.id, status, c.status, c.want, output)
		}
	}
	if _, err := history.New(s.bus).Latest(t.Context(), events.CancelRequested{RunID: "unknown"}.Subject()); err == nil {
		t.Error("an unknown run has a request to cancel")
	}
}

// TestCancelWithPausedWorker: a paused worker cannot end its phase, so intake does.
// When the worker goes on, it finds the phase completed and publishes nothing.
func TestCancelWithPausedWorker(t *testing.T) {
	t.Parallel()
	s := newTestDeployment(t, usualAckWait)
	worker := programs.Start(t, s.dir, processes.Finetune, s.env)
	s.request(t, "paused", 500, nil, nil)
	s.waitForCheckpoint(t, "paused")
	worker.Signal(t, syscall.SIGSTOP)
	run := s.cancelAndCheck(t, "paused")
	worker.Signal(t, syscall.SIGCONT)
	if p := run.Phases[events.Finetune]; len(p.Attempts) != 2 || p.Attempts[1].Started.Worker != "intake" {
		t.Errorf("attempts: %+v", p.Results())
	}
	s.request(t, "after", 1, map[string]any{"stop_after_finetuning": true}, nil) // its slot is free again
	if c := s.until(t, "after", "the end", func(r events.Run) bool { return r.Completed != nil }).Completed; c.Conclusion != events.Success {
		t.Errorf("ended %s", c.Conclusion)
	}
	worker.Stop(t)
}

// TestCancelTwice: a second cancel waits for the same end.
func TestCancelTwice(t *testing.T) {
	t.Parallel()
	s := newTestDeployment(t, usualAckWait)
	programs.Start(t, s.dir, processes.Finetune, s.env)
	s.request(t, "r", 500, nil, nil)
	s.waitForCheckpoint(t, "r")
	output, status := shell(t, fmt.Sprintf("tunebus cancel r --no-wait --server %[1]s && tunebus cancel r --server %[1]s && tunebus show r --server %[1]s", s.url))
	if status != 0 || !strings.Contains(output, "cancel of r requested") || !strings.Contains(output, "finetune 1  cancelled  ") {
		t.Errorf("status %d\n%s", status, output)
	}
}
