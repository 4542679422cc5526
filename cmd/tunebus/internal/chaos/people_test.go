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

// people ask for runs, for the end of some, and for the repetition of others.
type people struct {
	*town
	choice *rand.Rand
	bus    *conn.Conn

	letters []letter        // that are to be sent
	ended   map[string]bool // the subjects of the ends of runs
	looked  time.Time
}

// letter is something to be sent, which is tried until it is known to have
// arrived.
type letter struct {
	at   time.Time
	send func(ctx context.Context) error
}

// look counts the runs that have ended, now and then; a server that is away
// does not say.
func (p *people) look(t *testing.T) int {
	t.Helper()
	if time.Since(p.looked) < 300*time.Millisecond {
		return len(p.ended)
	}
	p.looked = time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if ended, err := p.subjects(ctx, events.TypePipelineCompleted+".*"); err == nil {
		p.ended = ended
	}
	return len(p.ended)
}

// under is how many runs are under way, as far as is known.
func (p *people) under() int { return len(p.asked) - len(p.ended) }

// post sends what is due, one letter at a time.
func (p *people) post(t *testing.T) {
	t.Helper()
	i := slices.IndexFunc(p.letters, func(l letter) bool { return time.Now().After(l.at) })
	if i < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	if p.letters[i].send(ctx) == nil {
		p.letters = slices.Delete(p.letters, i, i+1)
	}
}

// another asks for one more run: mostly a new one, sometimes the repetition of
// an old one; some are cancelled after a while.
func (p *people) another(t *testing.T) {
	t.Helper()
	n := len(p.asked)
	kind := []string{full, full, full, full, train, train, score, score, score, queued, broken, again}[p.choice.IntN(12)]
	req := events.PipelineRequested{RunID: fmt.Sprintf("%s-%d", kind, n)}
	spec, ends := specification(kind), endsOf(kind)
	switch kind {
	case again:
		old := p.repeatable()
		if old == "" {
			return
		}
		req.RerunOf, req.From = old, events.Inference
		spec = map[string]section{"inferencer": {"max_new_tokens": 1}}
	case score:
		req.Inputs.Predictions = p.predictions(t)
	case full, train:
		if p.choice.IntN(6) == 0 {
			p.cancelSoon(req.RunID)
			ends = []events.Conclusion{events.Success, events.Cancelled}
		}
	}
	p.asked[req.RunID] = kind
	if len(ends) > 0 {
		p.state.Ends[req.RunID] = ends
	}
	body := request(t, req, spec)
	p.letters = append(p.letters, letter{time.Now(), func(ctx context.Context) error { return p.send(ctx, req.RunID, body) }})
	if p.choice.IntN(20) == 0 {
		p.letters = append(p.letters, letter{time.Now(), func(ctx context.Context) error {
			return p.send(ctx, garbage+req.RunID, []byte("no request"))
		}})
	}
}

// cancelSoon asks for the end of a run after a while, which may be before its
// begin or after its end.
func (p *people) cancelSoon(run string) {
	after := time.Duration(p.choice.Int64N(int64(15 * time.Second)))
	p.letters = append(p.letters, letter{time.Now().Add(after), func(ctx context.Context) error {
		_, err := journal.New(p.bus).Publish(ctx, events.CancelRequested{RunID: run, By: "chaos"}, journal.Fence{})
		var lost *journal.FencedError
		if errors.As(err, &lost) { // it arrived at an earlier try
			return nil
		}
		return err
	}})
}

// repeatable is a run that has ended well with all its phases; empty if there
// is none yet.
func (p *people) repeatable() string {
	var good []string
	for _, id := range slices.Sorted(maps.Keys(p.asked)) {
		if p.asked[id] == full && len(p.state.Ends[id]) == 0 && p.ended[events.PipelineCompleted{RunID: id}.Subject()] {
			good = append(good, id)
		}
	}
	if len(good) == 0 {
		return ""
	}
	return good[p.choice.IntN(len(good))]
}
