package livemetrics

import (
	"time"

	"github.com/tunebus/tunebus/events"
)

// state is the state of a phase.
type state int

const (
	unknown  state = iota // it has no MLflow run yet
	attached              // its points go to an MLflow run
	detached              // its points come with its metric history
)

// Attach forwards the points of a phase to an MLflow run from here on, unless
// the phase is attached already or detached.
func (f *Forwarder) Attach(run string, p events.Phase, to MetricLogger, mlflowRun string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	phases := f.phasesOf(run)
	if _, ok := phases[p]; !ok {
		phases[p] = &liveRun{reader: f.readerOf(run, p), to: to, id: mlflowRun, turn: make(chan struct{}, 1), newest: newestSteps{}}
	}
}

// Detach ignores the points of a phase from here on: it is completed, so its
// metric history holds them.
func (f *Forwarder) Detach(run string, p events.Phase) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.phasesOf(run)[p] = nil
}

func (f *Forwarder) phasesOf(run string) map[events.Phase]*liveRun {
	if f.runs[run] == nil {
		f.runs[run] = map[events.Phase]*liveRun{}
	}
	return f.runs[run]
}

// Drop detaches all phases of a run. It remembers the run for some minutes,
// because metric events may still arrive, and forgets runs that were dropped long
// ago.
func (f *Forwarder) Drop(run string) {
	const remember = 10 * time.Minute
	now := time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.runs, run)
	for id, at := range f.dropped {
		if now.Sub(at) > remember {
			delete(f.dropped, id)
		}
	}
	f.dropped[run] = now
}

// lookup returns the live run of a phase that is attached.
func (f *Forwarder) lookup(run string, p events.Phase) (*liveRun, state) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, ok := f.dropped[run]; ok {
		return nil, detached
	}
	switch live, ok := f.runs[run][p]; {
	case !ok:
		return nil, unknown
	case live == nil:
		return nil, detached
	default:
		return live, attached
	}
}
