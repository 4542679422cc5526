package standalone_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// replyRecorder records the replies of workers to their deliveries, and the facts
// that follow from fine-tuning, in the order in which the server forwards them.
type replyRecorder struct {
	mu   sync.Mutex
	next map[string]int   // by run: the number of the first message that follows its fine-tuning
	acks map[uint64][]int // by the sequence of a fine-tuning job: the numbers of its acks
	naks []string
	seen int // messages so far
}

// recordReplies starts a recorder.
func (s *testServer) recordReplies(t *testing.T) *replyRecorder {
	t.Helper()
	a := &replyRecorder{next: map[string]int{}, acks: map[uint64][]int{}}
	// One subscription, because the order between two of them gets lost.
	sub, err := s.js.Conn().Subscribe(">", a.record)
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		t.Fatal(err)
	}
	if err := s.js.Conn().Flush(); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *replyRecorder) record(m *nats.Msg) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen++
	tokens := strings.Split(m.Subject, ".")
	switch {
	case strings.HasPrefix(m.Subject, "inference.requested."), strings.HasPrefix(m.Subject, "pipeline.completed."):
		if _, ok := a.next[tokens[2]]; !ok {
			a.next[tokens[2]] = a.seen
		}
	case strings.HasPrefix(m.Subject, "$JS.ACK."+events.StreamFacts+".finetune_builtin."):
		switch reply := string(m.Data); {
		case strings.HasPrefix(reply, "+ACK"):
			var seq uint64
			_, _ = fmt.Sscan(tokens[5], &seq) // the server writes a number here
			a.acks[seq] = append(a.acks[seq], a.seen)
		case strings.HasPrefix(reply, "-NAK"), strings.HasPrefix(reply, "+TERM"):
			a.naks = append(a.naks, m.Subject+" "+reply)
		}
	}
}

// check wants that every job was acknowledged, and only after the next fact of its
// run was published: then the run has an unsettled message at any time. No job may
// be NAKed.
func (a *replyRecorder) check(t *testing.T, s *testServer, runs []string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.naks) > 0 {
		t.Errorf("jobs were NAKed: %q", a.naks)
	}
	for _, id := range runs {
		m, err := history.New(s.bus).Latest(t.Context(), events.PhaseRequested{RunID: id, Phase: events.Finetune, Queue: "builtin"}.Subject())
		if err != nil {
			t.Error(err)
			continue
		}
		acks := a.acks[m.Sequence]
		switch next := a.next[id]; {
		case len(acks) == 0:
			t.Errorf("%s: its job was never acknowledged", id)
		case next == 0 || slices.Min(acks) < next:
			t.Errorf("%s: its job was acknowledged at %v, the next fact was published at %d", id, acks, next)
		}
	}
}
