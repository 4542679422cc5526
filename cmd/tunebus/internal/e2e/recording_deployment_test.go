package e2e_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// ackWait is the ack wait of these tests: the job of a killed worker is delivered
// again after it.
const ackWait = 3 * time.Second

// recordingDeployment is a deployment whose progress events are recorded.
type recordingDeployment struct {
	*testDeployment
	conn  *nats.Conn
	store *artifact.Store

	workers map[int]*processes.Process // by process id

	mu       sync.Mutex
	progress []received
}

// received is a progress event and when it was received.
type received struct {
	at time.Time
	events.Progress
}

// newRecordingDeployment starts a deployment whose workers save checkpoints often.
func newRecordingDeployment(t *testing.T, env ...string) *recordingDeployment {
	t.Helper()
	c := &recordingDeployment{workers: map[int]*processes.Process{}}
	c.testDeployment = newTestDeployment(t, ackWait, append([]string{
		"TUNEBUS_SERVICES_INFERENCE_SAVE_EVERY=200ms",
		"TUNEBUS_SERVICES_EVALUATION_SAVE_EVERY=200ms",
	}, env...)...)
	var err error
	if c.store, err = artifact.Open(t.Context(), "file://"+filepath.Join(c.dir, "artifacts")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.store.Close() }) // read only
	if c.conn, err = nats.Connect(c.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.conn.Close)
	if _, err := c.conn.Subscribe("*.progress.>", c.record); err != nil {
		t.Fatal(err)
	}
	if err := c.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *recordingDeployment) record(m *nats.Msg) {
	var event struct{ Data events.Progress }
	if json.Unmarshal(m.Data, &event) != nil {
		return // the test that waits for it then fails
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress = append(c.progress, received{time.Now(), event.Data})
}

// startWorker starts a worker, with variables of its own.
func (c *recordingDeployment) startWorker(t *testing.T, program string, more ...string) *processes.Process {
	t.Helper()
	p := programs.Start(t, c.dir, program, append(append([]string{}, c.env...), more...))
	c.workers[p.PID()] = p
	return p
}

// publishRequest publishes a request by a plain NATS client.
func (c *recordingDeployment) publishRequest(t *testing.T, id, specification string) {
	t.Helper()
	if err := c.conn.Publish(events.TypePipelineRequested, fmt.Appendf(nil, `{"run_id": %q, "specification": %s}`, id, specification)); err != nil {
		t.Fatal(err)
	}
}

// ended waits until a run has succeeded and is tracked.
func (c *recordingDeployment) ended(t *testing.T, id string) events.Run {
	t.Helper()
	run := c.until(t, id, "the end", func(r events.Run) bool { return r.Completed != nil && r.Tracked != nil })
	if run.Completed.Conclusion != events.Success {
		t.Fatalf("%s ended %s: %+v", id, run.Completed.Conclusion, run.Completed.Phases)
	}
	return run
}

// progressOf are the progress events of an attempt so far, without those that count
// rows before the work, or that say what it waits for.
func (c *recordingDeployment) progressOf(id string, p events.Phase, attempt int) (out []received) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.progress {
		if h.RunID == id && h.Phase == p && h.Attempt == attempt && h.Stage == "" && h.WaitsFor == "" {
			out = append(out, h)
		}
	}
	return out
}

// owner waits until the newest attempt at a phase has reached a step, and returns its
// number and its process. It looks at the checkpoint too, because a fast attempt
// publishes progress less often than it saves checkpoints.
func (c *recordingDeployment) owner(t *testing.T, id string, p events.Phase, step int64) (attempt int, process *processes.Process) {
	t.Helper()
	c.until(t, id, fmt.Sprintf("%s at step %d", p, step), func(r events.Run) bool {
		attempt = r.Phases[p].NextAttempt() - 1
		progress := c.progressOf(id, p, attempt)
		if len(progress) == 0 || r.Phases[p].Completed != nil {
			return false
		}
		at := progress[len(progress)-1].Step
		if cp, err := checkpoint.New(c.bus).Load(t.Context(), id, p); err == nil && cp.Attempt == attempt {
			at = max(at, cp.Step)
		}
		if at < step {
			return false
		}
		name := r.Phases[p].Attempts[attempt-1].Started.Worker
		for pid, w := range c.workers {
			if strings.Contains(name, fmt.Sprintf("-%d-", pid)) {
				process = w
			}
		}
		return process != nil
	})
	return attempt, process
}

// waitForAttempt waits for an attempt, and returns when its fact was stored.
func (c *recordingDeployment) waitForAttempt(t *testing.T, id string, p events.Phase, attempt int) time.Time {
	t.Helper()
	c.until(t, id, fmt.Sprintf("attempt %d at %s", attempt, p), func(r events.Run) bool { return r.Phases[p].NextAttempt() > attempt })
	m, err := history.New(c.bus).Latest(t.Context(), events.PhaseStarted{RunID: id, Phase: p, Attempt: attempt}.Subject())
	if err != nil {
		t.Fatal(err)
	}
	return m.Time
}

// killOwner kills the owner of a job once it has reached a step, and wants another
// worker to take the job over in time. It returns the number of the killed attempt.
func (c *recordingDeployment) killOwner(t *testing.T, id string, p events.Phase, step int64) int {
	t.Helper()
	attempt, victim := c.owner(t, id, p, step)
	at := time.Now()
	victim.Kill(t)
	takeover := c.waitForAttempt(t, id, p, attempt+1).Sub(at)
	t.Logf("%s: attempt %d at %s was killed after step %d; the job was taken over after %s", id, attempt, p, step, takeover.Round(time.Millisecond))
	if takeover > ackWait+5*time.Second {
		t.Errorf("%s: the job of attempt %d at %s was taken over after %s, the ack wait is %s", id, attempt, p, takeover, ackWait)
	}
	return attempt
}
