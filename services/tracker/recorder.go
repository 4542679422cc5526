package tracker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/delivery"
)

// recorder records runs as tracked, once their lines are in the list of runs:
// nobody writes a line of a run that is tracked again. The list is one file, so
// that it is written once for all runs that came up meanwhile.
type recorder struct {
	bell chan struct{}

	mu      sync.Mutex
	waiting []tracked
}

// tracked is a run of which everything is written but its line.
type tracked struct {
	story story
	links map[string]string
	gaps  []string
}

func newRecorder() *recorder { return &recorder{bell: make(chan struct{}, 1)} }

func (r *recorder) put(t tracked) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting = append(r.waiting, t)
	select {
	case r.bell <- struct{}{}:
	default:
	}
}

// take takes all runs that wait.
func (r *recorder) take() []tracked {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.waiting
	r.waiting = nil
	return all
}

// recording writes the list and records runs until ctx ends. Runs that still
// wait then are found untracked by the next tracker.
func (s *Service) recording(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C: // lines of runs that go on
		case <-s.recorder.bell:
		}
		all := s.recorder.take() // before their lines are written
		begin := time.Now()
		if err := s.list.write(ctx); err != nil && ctx.Err() == nil {
			s.cfg.Logger.Warn("run list not written; trying again", "error", err)
			for _, t := range all {
				s.due.put(t.story.run.ID, time.Now().Add(s.cfg.Retry))
			}
			continue
		}
		took := time.Since(begin)
		for _, t := range all {
			s.recordDue(ctx, t)
		}
		// A long list takes long to write; tracking may cost a tenth of that
		// time.
		select {
		case <-ctx.Done():
		case <-time.After(min(9*took, 10*time.Second)):
		}
	}
}

// recordDue records a run, or puts it back on the agenda.
func (s *Service) recordDue(ctx context.Context, t tracked) {
	err := s.record(ctx, t.story, t.links, t.gaps)
	if err == nil || ctx.Err() != nil {
		return
	}
	delay := s.cfg.Settle
	if later := (*delivery.RetryAfter)(nil); errors.As(err, &later) {
		delay = later.Delay
	} else {
		s.cfg.Logger.Warn("run not recorded as tracked", "run", t.story.run.ID, "again", delay, "error", err)
	}
	s.due.put(t.story.run.ID, time.Now().Add(delay))
}
