package tracker

import (
	"context"
	"sync"

	"github.com/tunebus/tunebus/services/tracker/report"
)

// list is the list of runs with the lines that are still to be written there.
// The whole list is a file, so that it is written now and then, not for every
// line.
type list struct {
	mu      sync.Mutex
	runs    *report.RunList // nil: there is no list
	waiting []report.RunLine
	closed  bool
}

func newList(dir string) *list {
	if dir == "" {
		return &list{}
	}
	return &list{runs: report.NewRunList(dir)}
}

// put adds a line; it is written at the next [list.write], or at once after
// the last one.
func (l *list) put(ctx context.Context, line report.RunLine) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = append(l.waiting, line)
	if !l.closed {
		return nil
	}
	return l.flush(ctx)
}

func (l *list) write(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.flush(ctx)
}

// close writes what waits; from then on each line is written as it comes.
func (l *list) close(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	return l.flush(ctx)
}

func (l *list) flush(ctx context.Context) error {
	if l.runs == nil || len(l.waiting) == 0 {
		return nil
	}
	if err := l.runs.Update(ctx, l.waiting...); err != nil {
		return err
	}
	l.waiting = nil
	return nil
}
