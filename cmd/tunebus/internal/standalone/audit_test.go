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

// auditor listens to everything that is published on a server, in the order in
// which the server passes it on.
type auditor struct {
	mu      sync.Mutex
	follows map[string]int   // when what follows a run's fine-tuning was published first
	acks    map[uint64][]int // when fine-tuning jobs were acknowledged, by sequence
	naks    []string
	heard   int
}

// audit starts an auditor of the jobs of fine-tuning.
func (s *workshop) audit(t *testing.T) *auditor {
	t.Helper()
	a := &auditor{follows: map[string]int{}, acks: map[uint64][]int{}}
	// One subscription, since the order between two of them gets lost.
	sub, err := s.js.Conn().Subscribe(">", a.hear)
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

func (a *auditor) hear(m *nats.Msg) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.heard++
	tokens := strings.Split(m.Subject, ".")
	switch {
	case strings.HasPrefix(m.Subject, "inference.requested."), strings.HasPrefix(m.Subject, "pipeline.completed."):
		if _, had := a.follows[tokens[2]]; !had {
			a.follows[tokens[2]] = a.heard
		}
	case strings.HasPrefix(m.Subject, "$JS.ACK."+events.StreamFacts+".finetune_builtin."):
		switch said := string(m.Data); {
		case strings.HasPrefix(said, "+ACK"):
			var seq uint64
			_, _ = fmt.Sscan(tokens[5], &seq) // a number, as the server made it
			a.acks[seq] = append(a.acks[seq], a.heard)
		case strings.HasPrefix(said, "-NAK"), strings.HasPrefix(said, "+TERM"):
			a.naks = append(a.naks, m.Subject+" "+said)
		}
	}
}

// verdict wants that every job was acknowledged, never before what follows
// from it was published, so that the run had a message open at any time; and
// that nobody gave a job back.
func (a *auditor) verdict(t *testing.T, s *workshop, runs []string) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.naks) > 0 {
		t.Errorf("jobs were given back: %q", a.naks)
	}
	for _, id := range runs {
		m, err := history.New(s.bus).Latest(t.Context(), events.PhaseRequested{RunID: id, Phase: events.Finetune, Queue: "builtin"}.Subject())
		if err != nil {
			t.Error(err)
			continue
		}
		acks := a.acks[m.Sequence]
		switch follows := a.follows[id]; {
		case len(acks) == 0:
			t.Errorf("%s: its job was never acknowledged", id)
		case follows == 0 || slices.Min(acks) < follows:
			t.Errorf("%s: its job was acknowledged at %v, and what follows was published at %d", id, acks, follows)
		}
	}
}
