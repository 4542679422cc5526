package bustest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/heldslot"
	"github.com/tunebus/tunebus/pipeline/bus/streams"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestHeldSlots: a record is listed until it is withdrawn.
func TestHeldSlots(t *testing.T) {
	t.Parallel()
	c := bustest.New(t, topology.Topology{})
	want := heldslot.Record{Worker: "w", RunID: "r", Phase: events.Finetune, Attempt: 1, Queue: "q", Why: "a disk", Since: time.Now().UTC().Truncate(time.Second)}
	withdraw := heldslot.Announce(t.Context(), c, want)
	eventually(t, "the record is listed", func() bool {
		held, err := heldslot.List(t.Context(), c)
		return err == nil && len(held) == 1 && held[0] == want
	})
	withdraw()
	eventually(t, "no record is listed", func() bool {
		held, err := heldslot.List(t.Context(), c)
		return err == nil && len(held) == 0
	})
}

// TestHeldSlotsWithdrawnAtOnce: a record that is withdrawn while it is being written is
// removed, and not left until it is too old.
func TestHeldSlotsWithdrawnAtOnce(t *testing.T) {
	t.Parallel()
	c := bustest.New(t, topology.Topology{})
	for i := range 200 {
		withdraw := heldslot.Announce(t.Context(), c, heldslot.Record{RunID: fmt.Sprint("r", i), Phase: events.Inference})
		time.Sleep(time.Duration(i%20) * 50 * time.Microsecond) // the write is under way for some of them
		withdraw()
	}
	eventually(t, "no record is left", func() bool {
		held, err := heldslot.List(t.Context(), c)
		return err == nil && len(held) == 0
	})
	msgs, err := streams.New(c).LatestOfEach(t.Context(), "KV_"+topology.BucketLeases, []string{"$KV." + topology.BucketLeases + ".held.>"})
	if err != nil || len(msgs) == 0 {
		t.Errorf("%d records were written, %v", len(msgs), err)
	}
	for _, m := range msgs {
		if why := m.Header.Get("Nats-Marker-Reason"); why != "" {
			t.Errorf("%s went by %s", m.Subject, why)
		}
	}
}
