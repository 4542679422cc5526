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

// told is what workers told the server about deliveries of fine-tuning jobs.
type told struct {
	mu   sync.Mutex
	said map[string][]string // by the number of the delivery
}

// listen notes what the server is told from here on.
func (c *cluster) listen(t *testing.T) *told {
	t.Helper()
	l := &told{said: map[string][]string{}}
	if _, err := c.conn.Subscribe("$JS.ACK."+events.StreamFacts+".finetune_builtin.>", func(m *nats.Msg) {
		l.mu.Lock()
		defer l.mu.Unlock()
		delivery := strings.Split(m.Subject, ".")[4]
		l.said[delivery] = append(l.said[delivery], string(m.Data))
	}); err != nil {
		t.Fatal(err)
	}
	if err := c.conn.Flush(); err != nil {
		t.Fatal(err)
	}
	return l
}

// of is what was said about a delivery so far.
func (l *told) of(delivery int) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.said[fmt.Sprint(delivery)]...)
}

// lost waits until an attempt has said that it lost its job, and returns when
// that was stored.
func (c *cluster) lost(t *testing.T, id string, attempt int) time.Time {
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

// one wants a run to have ended well with every fact stored once, its artifacts
// made by one attempt, and nothing of the others left.
func (c *cluster) one(t *testing.T, id string, attempt int) {
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
	c.history(t, run)
	c.clean(t, run)
}

// TestFrozenWorker: a worker that is stopped by a signal loses its job to
// another one. When it goes on, it stops its work, says nothing about the
// delivery, and so does not take the job away from its new holder: when that
// one is killed, the job comes again.
func TestFrozenWorker(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	for range 2 {
		c.work(t, processes.Finetune)
	}
	acks := c.listen(t)
	c.ask(t, "frozen", long(8, "", true))
	_, frozen := c.holder(t, "frozen", events.Finetune, 6)
	frozen.Signal(t, syscall.SIGSTOP)
	at := time.Now()
	held := c.started(t, "frozen", events.Finetune, 2).Sub(at)
	_, second := c.holder(t, "frozen", events.Finetune, 11)
	second.Signal(t, syscall.SIGSTOP) // else it might be done too soon
	seen := len(c.said("frozen", events.Finetune, 1))
	at = time.Now()
	frozen.Signal(t, syscall.SIGCONT)
	took := c.lost(t, "frozen", 1).Sub(at)
	t.Logf("taken over after %s; the frozen worker stopped %s after it went on", held.Round(time.Millisecond), took.Round(time.Millisecond))
	if held > ackWait+5*time.Second || took > 5*time.Second {
		t.Errorf("taken over after %s; the frozen worker stopped %s after it went on", held, took)
	}
	if n := len(c.said("frozen", events.Finetune, 1)) - seen; n > 2 {
		t.Errorf("the frozen worker went on for %d announcements", n)
	}
	before := acks.of(1)
	second.Kill(t)
	c.started(t, "frozen", events.Finetune, 3)
	// The worker that was frozen takes the job itself now.
	c.one(t, "frozen", 3)
	after := acks.of(1)
	if strings.ContainsAny(strings.Join(after, " "), "AN") || len(after) > len(before) { // +ACK, -NAK
		t.Errorf("about the delivery that it lost the frozen worker said %q, %d of them before it knew", after, len(before))
	}
	if third := acks.of(3); len(third) == 0 || third[len(third)-1] != "+ACK" {
		t.Errorf("about the third delivery was said %q, want an +ACK in the end", third)
	}
}

// TestCutWorker: a worker is cut off from NATS and finishes its work. When the
// connection is back, another one holds the job, and the result comes to
// nothing, with all that was stored.
func TestCutWorker(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	proxy := bustest.NewProxy(t, c.url)
	c.work(t, processes.Finetune, "TUNEBUS_BUS_URL="+proxy.URL)
	acks := c.listen(t)
	c.ask(t, "cut", long(8, "", true))
	c.holder(t, "cut", events.Finetune, 31)
	proxy.Cut()
	at := time.Now()
	second := c.work(t, processes.Finetune)
	held := c.started(t, "cut", events.Finetune, 2).Sub(at)
	processes.Eventually(t, 5*time.Minute, "the worker that is cut off stores its model", func() error {
		for o, err := range c.store.List(t.Context(), "runs/cut/finetune/1/model") {
			if err != nil || o.Size > 0 {
				return err
			}
		}
		return errors.New("it has not")
	})
	second.Signal(t, syscall.SIGSTOP) // else it might be done before the connection is back
	at = time.Now()
	proxy.Mend()
	took := c.lost(t, "cut", 1).Sub(at)
	t.Logf("taken over after %s; the worker that was cut off let go %s after it was back", held.Round(time.Millisecond), took.Round(time.Millisecond))
	if held > ackWait+5*time.Second || took > 10*time.Second {
		t.Errorf("taken over after %s; the worker that was cut off let go %s after it was back", held, took)
	}
	second.Kill(t)
	c.started(t, "cut", events.Finetune, 3)
	// The worker that was cut off takes the job itself now.
	c.one(t, "cut", 3)
	if said := strings.Join(acks.of(1), " "); strings.ContainsAny(said, "AN") {
		t.Errorf("about the delivery that it lost the worker said %q", said)
	}
}
