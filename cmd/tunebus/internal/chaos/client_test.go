package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

// client submits runs, cancels some of them and repeats others.
type client struct {
	*testDeployment
	random *rand.Rand
	conn   *conn.Conn

	pending   []pendingPublish
	ended     map[string]bool // subjects of pipeline.completed
	countedAt time.Time
}

// newClient connects a client to a deployment.
func newClient(t *testing.T, c *testDeployment, random *rand.Rand) *client {
	t.Helper()
	nc, err := conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: c.url, Name: "client", Wait: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	return &client{testDeployment: c, random: random, conn: nc}
}

// pendingPublish is a message that the client publishes at a time. It repeats
// send until send returns no error, because NATS may be unreachable.
type pendingPublish struct {
	at   time.Time
	send func(ctx context.Context) error
}

// countEnded returns the number of runs that have ended. It asks NATS at most
// every 300 ms. While NATS is unreachable it returns the last known number.
func (c *client) countEnded(t *testing.T) int {
	t.Helper()
	if time.Since(c.countedAt) < 300*time.Millisecond {
		return len(c.ended)
	}
	c.countedAt = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if ended, err := c.factSubjects(ctx, events.TypePipelineCompleted+".*"); err == nil {
		c.ended = ended
	}
	return len(c.ended)
}

// openRuns returns the number of submitted runs without a known end.
func (c *client) openRuns() int { return len(c.submitted) - len(c.ended) }

// publishDue publishes the first pending message that is due.
func (c *client) publishDue(t *testing.T) {
	t.Helper()
	i := slices.IndexFunc(c.pending, func(p pendingPublish) bool { return time.Now().After(p.at) })
	if i < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if c.pending[i].send(ctx) == nil {
		c.pending = slices.Delete(c.pending, i, i+1)
	}
}

// submitRun submits one more run: usually a new run, sometimes a rerun. It
// cancels some runs after a while.
func (c *client) submitRun(t *testing.T) {
	t.Helper()
	n := len(c.submitted)
	kinds := []string{
		full, full, full, full, finetuneOnly, finetuneOnly, evaluateOnly, evaluateOnly, evaluateOnly, expiring, failing, rerun,
	}
	kind := kinds[c.random.IntN(len(kinds))]
	req := events.PipelineRequested{RunID: fmt.Sprintf("%s-%d", kind, n)}
	spec, ends := specification(kind), conclusionsOf(kind)
	switch kind {
	case rerun:
		first := c.repeatableRun()
		if first == "" {
			return
		}
		req.RerunOf, req.From = first, events.Inference
		spec = map[string]section{"inferencer": {"max_new_tokens": 1}}
	case evaluateOnly:
		req.Inputs.Predictions = c.putPredictions(t)
	case full, finetuneOnly:
		if c.random.IntN(6) == 0 {
			c.cancelLater(req.RunID)
			ends = []events.Conclusion{events.Success, events.Cancelled}
		}
	}
	c.submitted[req.RunID] = kind
	if len(ends) > 0 {
		c.state.Ends[req.RunID] = ends
	}
	body := requestJSON(t, req, spec)
	c.publishAt(time.Now(), func(ctx context.Context) error { return c.publishRequest(ctx, req.RunID, body) })
	if c.random.IntN(20) == 0 {
		c.publishAt(time.Now(), func(ctx context.Context) error {
			return c.publishRequest(ctx, invalid+req.RunID, []byte(invalidRequest))
		})
	}
}

func (c *client) publishAt(at time.Time, send func(context.Context) error) {
	c.pending = append(c.pending, pendingPublish{at, send})
}

// cancelLater cancels a run within 15 seconds. The run may not have started by
// then, or may have ended.
func (c *client) cancelLater(run string) {
	delay := time.Duration(c.random.Int64N(int64(15 * time.Second)))
	c.publishAt(time.Now().Add(delay), func(ctx context.Context) error {
		_, err := journal.New(c.conn).Publish(ctx, events.CancelRequested{RunID: run, By: "chaos"}, journal.Fence{})
		if _, fenced := errors.AsType[*journal.FencedError](err); fenced { // an earlier try stored it
			return nil
		}
		return err
	})
}

// repeatableRun returns a run that went through all phases and succeeded, or ""
// if there is no such run yet.
func (c *client) repeatableRun() string {
	var succeeded []string
	for _, id := range slices.Sorted(maps.Keys(c.submitted)) {
		if c.submitted[id] == full && len(c.state.Ends[id]) == 0 && c.ended[events.PipelineCompleted{RunID: id}.Subject()] {
			succeeded = append(succeeded, id)
		}
	}
	if len(succeeded) == 0 {
		return ""
	}
	return succeeded[c.random.IntN(len(succeeded))]
}
