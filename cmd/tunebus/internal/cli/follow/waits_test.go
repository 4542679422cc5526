package follow

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// queuedRun is a run whose first job waits.
func queuedRun() events.Run {
	plan := []events.Step{{Phase: events.Finetune, Queue: "trl"}}
	return events.Fold([]events.Fact{
		events.PipelineAccepted{RunID: "r", Plan: plan},
		events.PhaseRequested{RunID: "r", Phase: events.Finetune, Queue: "trl", Plan: plan},
	})
}

func notBusy(context.Context, events.Run, []topology.Queue) (string, error) { return "", nil }

// TestMissingWorker: it is said once, after two looks without a worker, and not where
// one is away for a moment, is busy, or has taken the job.
func TestMissingWorker(t *testing.T) {
	t.Parallel()
	alone := topology.Queue{Phase: events.Finetune, Name: "trl", Waiting: 1}
	busy, other := alone, alone
	busy.Held, other.Name = 1, "unsloth"
	for name, c := range map[string]struct {
		looks []topology.Queue // one queue each; the last one stays
		want  int
	}{
		"nobody":       {[]topology.Queue{alone}, 1},
		"for a moment": {[]topology.Queue{alone, busy}, 0},
		"busy":         {[]topology.Queue{busy}, 0},
		"it goes":      {[]topology.Queue{busy, busy, alone}, 1},
		"another":      {[]topology.Queue{other}, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var screen strings.Builder
			looks := c.looks
			w := &waits{console: view.NewConsole(io.Discard, &screen), busy: notBusy, queues: func(context.Context) ([]topology.Queue, error) {
				q := looks[0]
				if len(looks) > 1 {
					looks = looks[1:]
				}
				return []topology.Queue{q}, nil
			}}
			for range 30 {
				w.look(t.Context(), queuedRun())
				time.Sleep(2 * time.Second) // of the bubble's clock
			}
			if n := strings.Count(screen.String(), "finetune   waits for a worker of finetune/trl: none has been seen\n"); n != c.want {
				t.Errorf("%s: said %d times, want %d\n%s", name, n, c.want, screen.String())
			}
		})
	}
}

// TestGivenBackJob: where all workers work it is said for which runs, and later, once, that a
// free worker does not take the job.
func TestGivenBackJob(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var screen strings.Builder
		idle := 0
		w := &waits{
			console: view.NewConsole(io.Discard, &screen),
			queues: func(context.Context) ([]topology.Queue, error) {
				return []topology.Queue{{Phase: events.Finetune, Name: "trl", Held: 2, Idle: idle}}, nil
			},
			busy: func(context.Context, events.Run, []topology.Queue) (string, error) { return "a free worker", nil },
		}
		run := queuedRun()
		run.Accepted.RequestedAt = time.Now()
		for i := range 120 {
			if i == 60 {
				idle = 1
			}
			w.look(t.Context(), run)
			time.Sleep(2 * time.Second) // of the bubble's clock
		}
		busy, back := "finetune   waits for a free worker\n", "finetune   waits for a worker of finetune/trl that can take it: "
		got := screen.String()
		if strings.Count(got, "\n") != 2 || !strings.HasPrefix(got, busy+back) {
			t.Errorf("%q, want %q and %q once", got, busy, back)
		}
	})
}

// TestLooksAtQueues: a run without a job that waits costs no look, and a long queue
// few of them. A server that does not answer is no missing worker.
func TestLooksAtQueues(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		looks := 0
		var screen strings.Builder
		w := &waits{console: view.NewConsole(io.Discard, &screen), queues: func(context.Context) ([]topology.Queue, error) {
			looks++
			return nil, errors.New("no answer")
		}}
		for range 60 {
			w.look(t.Context(), events.Run{})
		}
		if looks != 0 {
			t.Errorf("%d looks for a run that waits for nothing", looks)
		}
		for range 60 { // two minutes
			w.look(t.Context(), queuedRun())
			time.Sleep(2 * time.Second) // of the bubble's clock
		}
		if looks < 10 || looks > 15 || screen.String() != "" {
			t.Errorf("%d looks in two minutes\n%s", looks, screen.String())
		}
	})
}

// TestAnnouncedWait: what a worker waits for is said once.
func TestAnnouncedWait(t *testing.T) {
	t.Parallel()
	var screen strings.Builder
	w := &waits{console: view.NewConsole(io.Discard, &screen)}
	for _, what := range []string{"the judge", "the judge", "", "the judge", "the store\x1b"} {
		w.show(events.Progress{Phase: events.Evaluation, WaitsFor: what})
	}
	if got, want := screen.String(), "evaluation waits for the judge\nevaluation waits for the store\\u001b\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
