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

// The longest time from the request of a cancel to the run's end, and what a
// machine that is busy with other tests may add to it.
const (
	cancelBound = 2 * time.Second
	cancelSlack = 2 * time.Second
)

// cancel runs the command.
func (s *site) cancel(t *testing.T, id string) (status int, said string) {
	t.Helper()
	said, status = shell(t, "tunebus cancel "+id+" --json --server "+s.url)
	return status, said
}

// cancelled cancels a run by the command and wants it to end in time, and to
// be killed in MLflow, but for the phases that had finished. It returns the
// run.
func (s *site) cancelled(t *testing.T, id string, finished ...events.Phase) events.Run {
	t.Helper()
	status, said := s.cancel(t, id)
	var got struct {
		Status string
		Phases []events.PhaseResult
	}
	if err := json.Unmarshal([]byte(said), &got); err != nil || status != 0 || got.Status != "cancelled" || len(got.Phases) != len(finished)+1 {
		t.Fatalf("status %d, %v\n%s", status, err, said)
	}
	run := s.until(t, id, "tracking", func(r events.Run) bool { return r.Completed != nil && r.Tracked != nil })
	asked := s.stored(t, events.CancelRequested{RunID: id})
	took := s.stored(t, events.PipelineCompleted{RunID: id}).Sub(asked)
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
	if got := s.mlflow(t, id); !maps.Equal(got, want) {
		t.Errorf("MLflow has %v, want %v", got, want)
	}
	return run
}

// TestCancelApart cancels runs by the command, wherever they are: each is over
// in two seconds, what had finished is kept, and the rest is killed in MLflow.
// The ack wait is the usual 30 s, so none of it waits for a redelivery.
func TestCancelApart(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	started := events.PhaseStarted{RunID: "between", Phase: events.Finetune, Attempt: 1, Worker: "dead"}
	now := time.Now().UTC()
	only := map[string]any{"stop_after_finetuning": true}

	s.ask(t, "queued", 1, nil, nil)
	s.requested(t, "queued", events.Finetune)
	s.cancelled(t, "queued")

	// The worker stored its end and did not live to publish the next job.
	s.ask(t, "between", 1, nil, nil)
	s.requested(t, "between", events.Finetune)
	model := events.Artifact{Name: events.ArtifactModel, Reference: s.put(t, "between.txt")}
	s.publish(t, started, events.PhaseCompleted{
		RunID: "between", Phase: events.Finetune, Attempt: 1, Conclusion: events.Success, StartedAt: now, EndedAt: now, Artifacts: []events.Artifact{model},
	})
	s.cancelled(t, "between", events.Finetune)

	worker := programs.Start(t, s.dir, processes.Finetune, s.env)
	s.ask(t, "running", 500, nil, nil)
	s.learning(t, "running")
	if p := s.cancelled(t, "running").Phases[events.Finetune]; len(p.Attempts) != 1 || p.Attempts[0].Started.Worker == "intake" {
		t.Errorf("the holder did not end it: %+v", p.Results())
	}

	s.ask(t, "next", 1, nil, nil)
	s.requested(t, "next", events.Inference) // of which nobody lives
	s.cancelled(t, "next", events.Finetune)

	// A damaged artifact is tried again, in an hour.
	damaged := s.put(t, "damaged.jsonl")
	if err := os.WriteFile(filepath.Join(s.dir, "artifacts", filepath.FromSlash(damaged.Key)), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.ask(t, "backoff", 1, map[string]any{"backoff": "1h"}, map[string]events.Reference{"fine_tuner.training_data_id": damaged})
	s.until(t, "backoff", "an attempt that failed", func(r events.Run) bool { return r.Phases[events.Finetune].Tries() == 1 })
	s.cancelled(t, "backoff")

	s.ask(t, "late", 500, map[string]any{"deadline": "8s"}, nil)
	late := s.until(t, "late", "the end", func(r events.Run) bool { return r.Completed != nil && r.Tracked != nil })
	over := s.stored(t, events.PipelineCompleted{RunID: "late"}).Sub(late.Accepted.RequestedAt.Add(8 * time.Second))
	t.Logf("late: the run ended %s after its deadline", over.Round(time.Millisecond))
	if late.Completed.Conclusion != events.Cancelled || late.Cancel.By != "deadline" || over < 0 || over > cancelBound+cancelSlack {
		t.Errorf("ended %s by %+v, %s after its deadline", late.Completed.Conclusion, late.Cancel, over)
	}
	if got := s.mlflow(t, "late"); got["pipeline"] != "5" || got["finetune"] != "5" {
		t.Errorf("MLflow has %v", got)
	}

	s.ask(t, "whole", 1, only, nil)
	s.until(t, "whole", "the end", func(r events.Run) bool { return r.Completed != nil })

	s.ask(t, "killed", 500, nil, nil)
	s.learning(t, "killed")
	worker.Kill(t) // and nobody else lives
	s.cancelled(t, "killed")

	for _, c := range []struct {
		id     string
		status int
		says   string
	}{
		{"killed", 0, `"status": "cancelled"`}, // once more
		{"whole", 2, `"status": "success"`},
		{"nobody", 2, "run nobody is unknown on"},
	} {
		status, said := s.cancel(t, c.id)
		if status != c.status || !strings.Contains(said, c.says) || c.id != "nobody" && !strings.Contains(said, `"cancel_requested": false`) {
			t.Errorf("%s: status %d, want %d and %s\n%s", c.id, status, c.status, c.says, said)
		}
	}
	if _, err := history.New(s.bus).Latest(t.Context(), events.CancelRequested{RunID: "nobody"}.Subject()); err == nil {
		t.Error("a run that nobody knows is asked to end")
	}
}

// TestCancelOfAPausedWorker: a worker that stands still cannot end its job, so
// intake does. When it goes on, it finds that out and leaves the run alone.
func TestCancelOfAPausedWorker(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	worker := programs.Start(t, s.dir, processes.Finetune, s.env)
	s.ask(t, "paused", 500, nil, nil)
	s.learning(t, "paused")
	worker.Signal(t, syscall.SIGSTOP)
	run := s.cancelled(t, "paused")
	worker.Signal(t, syscall.SIGCONT)
	if p := run.Phases[events.Finetune]; len(p.Attempts) != 2 || p.Attempts[1].Started.Worker != "intake" {
		t.Errorf("attempts: %+v", p.Results())
	}
	s.ask(t, "after", 1, map[string]any{"stop_after_finetuning": true}, nil) // its slot is free again
	if c := s.until(t, "after", "the end", func(r events.Run) bool { return r.Completed != nil }).Completed; c.Conclusion != events.Success {
		t.Errorf("ended %s", c.Conclusion)
	}
	worker.Stop(t)
}

// TestTwoWhoCancel: whoever asks second waits for the same end.
func TestTwoWhoCancel(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	programs.Start(t, s.dir, processes.Finetune, s.env)
	s.ask(t, "r", 500, nil, nil)
	s.learning(t, "r")
	said, status := shell(t, fmt.Sprintf("tunebus cancel r --no-wait --server %[1]s && tunebus cancel r --server %[1]s && tunebus show r --server %[1]s", s.url))
	if status != 0 || !strings.Contains(said, "cancel of r requested") || !strings.Contains(said, "finetune 1  cancelled  ") {
		t.Errorf("status %d\n%s", status, said)
	}
}
