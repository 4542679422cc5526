package e2e_test

import (
	"context"
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
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// ackWait is how long the job of a killed worker waits in these tests.
const ackWait = 3 * time.Second

// cluster is a NATS server and services, each a process of its own.
type cluster struct {
	dir, url string
	env      []string
	bus      *conn.Conn
	conn     *nats.Conn
	store    *artifact.Store

	workers map[int]*processes.Process // by process id

	mu       sync.Mutex
	progress []heard
}

// heard is a progress event and when it was heard.
type heard struct {
	at time.Time
	events.Progress
}

// newCluster starts NATS, an intake and a tracker.
func newCluster(t *testing.T, more ...string) *cluster {
	t.Helper()
	dir := t.TempDir()
	port := fmt.Sprint(processes.FreePort(t))
	c := &cluster{dir: dir, url: "nats://127.0.0.1:" + port, workers: map[int]*processes.Process{}}
	c.env = append([]string{
		"TUNEBUS_BUS_URL=" + c.url,
		"TUNEBUS_ARTIFACTS_URL=file://" + filepath.Join(dir, "artifacts"),
		"TUNEBUS_DATA_ROOTS=" + filepath.Join(processes.Root(), "configs", "quickstart"),
		"TUNEBUS_SERVICES_TRACKER_TRACKING_URI=file:" + filepath.Join(dir, "mlruns"),
		"TUNEBUS_SERVICES_TRACKER_REPORTS=" + filepath.Join(dir, "reports"),
		"TUNEBUS_SERVICES_INFERENCE_SAVE_EVERY=200ms",
		"TUNEBUS_SERVICES_EVALUATION_SAVE_EVERY=200ms",
	}, more...)
	programs.Start(t, dir, processes.NATS, nil, "-js", "-a", "127.0.0.1", "-p", port, "-sd", filepath.Join(dir, "nats"))
	programs.Start(t, dir, processes.Tunebus, c.env, "setup", "--wait", "30s", "--ack-wait", ackWait.String()).Wait(t, time.Minute)
	programs.Start(t, dir, processes.Intake, c.env)
	programs.Start(t, dir, processes.Tracker, c.env)
	var err error
	if c.bus, err = conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: c.url, Name: "test"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.bus.Close)
	if c.store, err = artifact.Open(t.Context(), "file://"+filepath.Join(dir, "artifacts")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.store.Close() }) // read only
	if c.conn, err = nats.Connect(c.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.conn.Close)
	if _, err := c.conn.Subscribe("*.progress.>", c.hear); err != nil {
		t.Fatal(err)
	}
	if err := c.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *cluster) hear(m *nats.Msg) {
	var said struct{ Data events.Progress }
	if json.Unmarshal(m.Data, &said) != nil {
		return // a test that waits for it says so
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.progress = append(c.progress, heard{time.Now(), said.Data})
}

// work starts a worker. more are variables of its own.
func (c *cluster) work(t *testing.T, program string, more ...string) *processes.Process {
	t.Helper()
	p := programs.Start(t, c.dir, program, append(append([]string{}, c.env...), more...))
	c.workers[p.PID()] = p
	return p
}

// ask publishes a request, as a person does with any NATS client.
func (c *cluster) ask(t *testing.T, id, specification string) {
	t.Helper()
	if err := c.conn.Publish(events.TypePipelineRequested, fmt.Appendf(nil, `{"run_id": %q, "specification": %s}`, id, specification)); err != nil {
		t.Fatal(err)
	}
}

// until waits until a run is as ok wants it, and returns it.
func (c *cluster) until(t *testing.T, id, what string, ok func(events.Run) bool) events.Run {
	t.Helper()
	var run events.Run
	processes.Eventually(t, 5*time.Minute, id+": "+what, func() error {
		var err error
		if run, err = history.New(c.bus).Run(t.Context(), id); err == nil && !ok(run) {
			err = fmt.Errorf("it is %s", run.Status())
		}
		return err
	})
	return run
}

// ended waits for the success of a run, and for its tracking.
func (c *cluster) ended(t *testing.T, id string) events.Run {
	t.Helper()
	run := c.until(t, id, "the end", func(r events.Run) bool { return r.Completed != nil && r.Tracked != nil })
	if run.Completed.Conclusion != events.Success {
		t.Fatalf("%s ended %s: %+v", id, run.Completed.Conclusion, run.Completed.Phases)
	}
	return run
}

// said is what an attempt has said so far about its progress.
func (c *cluster) said(id string, p events.Phase, attempt int) (out []heard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, h := range c.progress {
		if h.RunID == id && h.Phase == p && h.Attempt == attempt {
			out = append(out, h)
		}
	}
	return out
}

// holder waits until the newest attempt at a phase is at a step, or behind it,
// and returns its number and its process. A fast one says where it is less
// often than it saves where it is.
func (c *cluster) holder(t *testing.T, id string, p events.Phase, step int64) (attempt int, process *processes.Process) {
	t.Helper()
	c.until(t, id, fmt.Sprintf("%s at step %d", p, step), func(r events.Run) bool {
		attempt = r.Phases[p].NextAttempt() - 1
		said := c.said(id, p, attempt)
		if len(said) == 0 || r.Phases[p].Completed != nil {
			return false
		}
		at := said[len(said)-1].Step
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

// started waits for an attempt, and returns when its fact was stored.
func (c *cluster) started(t *testing.T, id string, p events.Phase, attempt int) time.Time {
	t.Helper()
	c.until(t, id, fmt.Sprintf("attempt %d at %s", attempt, p), func(r events.Run) bool { return r.Phases[p].NextAttempt() > attempt })
	m, err := history.New(c.bus).Latest(t.Context(), events.PhaseStarted{RunID: id, Phase: p, Attempt: attempt}.Subject())
	if err != nil {
		t.Fatal(err)
	}
	return m.Time
}

// kill kills the holder of a job once it is at a step, and wants another one
// to hold the job in time. It returns the number of the attempt that was
// killed.
func (c *cluster) kill(t *testing.T, id string, p events.Phase, step int64) int {
	t.Helper()
	attempt, victim := c.holder(t, id, p, step)
	at := time.Now()
	victim.Kill(t)
	held := c.started(t, id, p, attempt+1).Sub(at)
	t.Logf("%s: attempt %d at %s is killed behind step %d; the job is held again after %s", id, attempt, p, step, held.Round(time.Millisecond))
	if held > ackWait+5*time.Second {
		t.Errorf("%s: the job of attempt %d at %s is held again after %s, the ack wait is %s", id, attempt, p, held, ackWait)
	}
	return attempt
}
