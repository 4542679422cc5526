// Package heldslot shows which slots of workers take no job, because the work of an
// earlier one hangs in them.
//
// A record is a key of the bucket of leases. The worker renews it while the slot is
// held, so that the record of a killed worker is gone within [topology.LeaseTTL].
//
//	withdraw := heldslot.Announce(ctx, c, heldslot.Record{Worker: "gpu-1-4711", …})
//	…
//	withdraw()
//	held, err := heldslot.List(ctx, c) // what doctor shows
//
// Records are for people; nothing depends on them. Its tests with a real server are in
// embedded/bustest.
package heldslot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// Record says what holds a slot.
type Record struct {
	// Worker is the name of the process, as in started facts.
	Worker string `json:"worker"`
	// RunID, Phase and Attempt name the job whose work hangs. Attempt is 0 if it hangs
	// before it has a number.
	RunID   string       `json:"run_id"`
	Phase   events.Phase `json:"phase"`
	Attempt int          `json:"attempt,omitempty"`
	// Queue is the queue that the slot takes jobs from.
	Queue string `json:"queue"`
	// Why says what hangs, at most 1 KiB.
	Why string `json:"why"`
	// Since is when the slot was found to hang.
	Since time.Time `json:"since"`
}

// maxWhy bounds [Record.Why] in bytes.
const maxWhy = 1 << 10

// prefix begins the keys of the records in the bucket.
const prefix = "held."

func (r Record) key() string {
	return fmt.Sprintf("%s%s.%s.%d", prefix, r.Phase, r.RunID, r.Attempt)
}

// Announce shows a record until withdraw is called or ctx ends. It never waits for the
// server. A record that cannot be written is logged only.
func Announce(ctx context.Context, c *conn.Conn, r Record) (withdraw func()) {
	r.Why = events.Cut(r.Why, maxWhy)
	ctx, cancel := context.WithCancel(ctx)
	c.Go(ctx, func(ctx context.Context) {
		if err := show(ctx, c, r); err != nil && ctx.Err() == nil {
			c.Logger().Warn("doctor does not show that a slot is held", "run", r.RunID, "phase", r.Phase, "error", err)
		}
	})
	return cancel
}

// show writes the record again and again, and removes it in the end.
func show(ctx context.Context, c *conn.Conn, r Record) error {
	value, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tick := time.NewTicker(topology.LeaseTTL / 3)
	defer tick.Stop()
	written := false // or perhaps written: a put that ctx ended may be on its way
	for ctx.Err() == nil {
		bucket, err := c.Bucket(ctx, topology.BucketLeases)
		if err == nil {
			written = true
			err = bucket.Put(ctx, r.key(), value)
		}
		if err != nil && !conn.IsUnanswered(err) && ctx.Err() == nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	if !written {
		return nil
	}
	ending, done := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer done()
	bucket, err := c.Bucket(ending, topology.BucketLeases)
	if err != nil {
		return err
	}
	return bucket.Delete(ending, r.key(), 0)
}

// List returns the records of the server, those that are held for the longest first.
func List(ctx context.Context, c *conn.Conn) ([]Record, error) {
	filter := "$KV." + topology.BucketLeases + "." + prefix + ">"
	msgs, err := streams.New(c).LatestOfEach(ctx, "KV_"+topology.BucketLeases, []string{filter})
	if err != nil {
		return nil, fmt.Errorf("list held slots: %w", err)
	}
	var out []Record
	var bad error
	for _, m := range msgs {
		if m.Header.Get("KV-Operation") != "" || m.Header.Get("Nats-Marker-Reason") != "" {
			continue // a key that was removed
		}
		var r Record
		if err := json.Unmarshal(m.Data, &r); err != nil {
			bad = errors.Join(bad, fmt.Errorf("held slot %s: %w", strings.TrimPrefix(m.Subject, "$KV."+topology.BucketLeases+"."), err))
			continue
		}
		out = append(out, r)
	}
	slices.SortFunc(out, func(a, b Record) int { return a.Since.Compare(b.Since) })
	return out, bad
}
