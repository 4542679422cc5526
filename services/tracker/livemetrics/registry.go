package livemetrics

import (
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
)

// registry knows the MLflow run of each running phase.
type registry struct {
	mu      sync.Mutex
	runs    map[string]map[events.Phase]*liveRun // nil: detached
	dropped map[string]time.Time
}

// state is the state of a phase.
type state int

const (
	unknown  state = iota // it has no MLflow run yet
	attached              // its points go to an MLflow run
	detached              // its points come with its metric history
)

func newRegistry() registry {
	return registry{runs: map[string]map[events.Phase]*liveRun{}, dropped: map[string]time.Time{}}
}

// attach calls open for a phase that is unknown.
func (r *registry) attach(run string, p events.Phase, open func() *liveRun) {
	r.mu.Lock()
	defer r.mu.Unlock()
	phases := r.phasesOf(run)
	if _, ok := phases[p]; !ok {
		phases[p] = open()
	}
}

func (r *registry) detach(run string, p events.Phase) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.phasesOf(run)[p] = nil
}

func (r *registry) phasesOf(run string) map[events.Phase]*liveRun {
	if r.runs[run] == nil {
		r.runs[run] = map[events.Phase]*liveRun{}
	}
	return r.runs[run]
}

// drop detaches all phases of a run, and forgets runs that were dropped long
// ago.
func (r *registry) drop(run string, now time.Time) {
	const remember = 10 * time.Minute
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.runs, run)
	for id, at := range r.dropped {
		if now.Sub(at) > remember {
			delete(r.dropped, id)
		}
	}
	r.dropped[run] = now
}

// lookup returns the live run of a phase that is attached.
func (r *registry) lookup(run string, p events.Phase) (*liveRun, state) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.dropped[run]; ok {
		return nil, detached
	}
	switch live, ok := r.runs[run][p]; {
	case !ok:
		return nil, unknown
	case live == nil:
		return nil, detached
	default:
		return live, attached
	}
}
