package e2e_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// replies are the replies of workers to the deliveries of fine-tuning jobs.
type replies struct {
	mu   sync.Mutex
	data map[string][]string // by the number of the delivery
}

// recordReplies records the replies from now on.
func (c *recordingDeployment) recordReplies(t *testing.T) *replies {
	t.Helper()
	l := &replies{data: map[string][]string{}}
	if _, err := c.conn.Subscribe("$JS.ACK."+events.StreamFacts+".finetune_builtin.>", func(m *nats.Msg) {
		l.mu.Lock()
		defer l.mu.Unlock()
		delivery := strings.Split(m.Subject, ".")[4]
		l.data[delivery] = append(l.data[delivery], string(m.Data))
	}); err != nil {
		t.Fatal(err)
	}
	if err := c.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return l
}

// of are the replies to a delivery so far.
func (l *replies) of(delivery int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.data[fmt.Sprint(delivery)]...)
}

// waitForLost waits until an attempt has published that it lost its job, and returns
// when that was stored.
func (c *recordingDeployment) waitForLost(t *testing.T, id string, attempt int) time.Time {
	t.Helper()
	c.until(t, id, fmt.Sprintf("attempt %d is lost", attempt), func(r events.Run) bool {
		a := r.Phases[events.Finetune].Attempts[attempt-1]
		return a.Ended != nil && a.Ended.Reason == events.EndLost
	})
	m, err := history.New(c.bus).Latest(t.Context(), events.AttemptEnded{RunID: id, Phase: events.Finetune, Attempt: attempt}.Subject())
	if err != nil {
		t.Fatal(err)
	}
	return m.Time
}

// wantOneCompletion wants that a run succeeded, that one attempt made its artifacts,
// and that the other attempts left none.
func (c *recordingDeployment) wantOneCompletion(t *testing.T, id string, attempt int) {
	t.Helper()
	run := c.ended(t, id)
	done := run.Phases[events.Finetune].Completed
	if done.Attempt != attempt || len(run.Phases[events.Finetune].Attempts) != attempt {
		t.Errorf("attempt %d of %d completed the phase, want %d", done.Attempt, len(run.Phases[events.Finetune].Attempts), attempt)
	}
	for _, a := range done.Artifacts {
		if !strings.Contains(a.Reference.Key, fmt.Sprintf("/finetune/%d/", attempt)) {
			t.Errorf("%s is %s", a.Name, a.Reference.Key)
		}
	}
	c.wantCompleteHistory(t, run)
	c.wantNothingLeft(t, run)
}

// TestFrozenWorkerIsFenced: a worker that is paused by a signal loses its job to
// another one. When it goes on, it stops its work and sends no reply to its delivery,
// which would settle the delivery of the new owner. So when the new owner is killed,
// the job is delivered again.
func TestFrozenWorkerIsFenced(t *testing.T) {
	t.Parallel()
	c := newRecordingDeployment(t)
	for range 2 {
		c.startWorker(t, processes.Finetune)
	}
	acks := c.recordReplies(t)
	c.publishRequest(t, "frozen", long(8, "", true))
	_, frozen := c.owner(t, "frozen", events.Finetune, 6)
	frozen.Signal(t, syscall.SIGSTOP)
	at := time.Now()
	takeover := c.waitForAttempt(t, "frozen", events.Finetune, 2).Sub(at)
	_, second := c.owner(t, "frozen", events.Finetune, 11)
	second.Signal(t, syscall.SIGSTOP) // otherwise it might complete the phase first
	seen := len(c.progressOf("frozen", events.Finetune, 1))
	at = time.Now()
	frozen.Signal(t, syscall.SIGCONT)
	took := c.waitForLost(t, "frozen", 1).Sub(at)
	t.Logf("taken over after %s; the frozen worker stopped %s after it went on", takeover.Round(time.Millisecond), took.Round(time.Millisecond))
	if takeover > ackWait+5*time.Second || took > 5*time.Second {
		t.Errorf("taken over after %s; the frozen worker stopped %s after it went on", takeover, took)
	}
	if n := len(c.progressOf("frozen", events.Finetune, 1)) - seen; n > 2 {
		t.Errorf("the frozen worker published %d more progress events", n)
	}
	before := acks.of(1)
	second.Kill(t)
	c.waitForAttempt(t, "frozen", events.Finetune, 3)
	// The worker that was frozen gets the job now.
	c.wantOneCompletion(t, "frozen", 3)
	after := acks.of(1)
	if strings.ContainsAny(strings.Join(after, " "), "AN") || len(after) > len(before) { // +ACK, -NAK
		t.Errorf("the frozen worker sent the replies %q to its lost delivery, %d of them before it was frozen", after, len(before))
	}
	if third := acks.of(3); len(third) == 0 || third[len(third)-1] != "+ACK" {
		t.Errorf("the replies to the third delivery are %q, want +ACK at the end", third)
	}
}

// TestDisconnectedWorkerIsFenced: a worker loses its connection and finishes its work.
// When the connection is back, another worker owns the job, so the result is refused
// and its artifacts are deleted.
func TestDisconnectedWorkerIsFenced(t *testing.T) {
	t.Parallel()
	c := newRecordingDeployment(t)
	proxy := bustest.NewProxy(t, c.url)
	c.startWorker(t, processes.Finetune, "TUNEBUS_BUS_URL="+proxy.URL)
	acks := c.recordReplies(t)
	c.publishRequest(t, "cut", long(8, "", true))
	c.owner(t, "cut", events.Finetune, 31)
	proxy.Cut()
	at := time.Now()
	second := c.startWorker(t, processes.Finetune)
	takeover := c.waitForAttempt(t, "cut", events.Finetune, 2).Sub(at)
	processes.Eventually(t, 5*time.Minute, "the disconnected worker stores its model", func() error {
		for o, err := range c.store.List(t.Context(), "runs/cut/finetune/1/model") {
			if err != nil || o.Size > 0 {
				return err
			}
		}
		return errors.New("it has not")
	})
	second.Signal(t, syscall.SIGSTOP) // otherwise it might complete the phase before the reconnect
	at = time.Now()
	proxy.Restore()
	took := c.waitForLost(t, "cut", 1).Sub(at)
	t.Logf("taken over after %s; the disconnected worker abandoned the job %s after the reconnect", takeover.Round(time.Millisecond), took.Round(time.Millisecond))
	if takeover > ackWait+5*time.Second || took > 10*time.Second {
		t.Errorf("taken over after %s; the disconnected worker abandoned the job %s after the reconnect", takeover, took)
	}
	second.Kill(t)
	c.waitForAttempt(t, "cut", events.Finetune, 3)
	// The worker that was disconnected gets the job now.
	c.wantOneCompletion(t, "cut", 3)
	if sent := strings.Join(acks.of(1), " "); strings.ContainsAny(sent, "AN") {
		t.Errorf("the worker sent the replies %q to its lost delivery", sent)
	}
}
