package showcmd

import (
	"container/heap"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/runindex"
)

// heldRuns is how many runs a list holds to put them into order. The index has them in the
// order in which intake accepted them, and it accepts some at the same time: fewer than
// these.
const heldRuns = 64

// byRequest puts runs into the order in which they were asked for, the newest first.
type byRequest struct {
	held requests
	each func(runindex.Line) error
}

// add takes the next run of the index, and calls each with the newest that it holds once it
// holds enough.
func (o *byRequest) add(line runindex.Line) error {
	heap.Push(&o.held, line)
	if len(o.held) <= heldRuns {
		return nil
	}
	return o.each(heap.Pop(&o.held).(runindex.Line))
}

// end calls each with the runs that are left.
func (o *byRequest) end() error {
	for len(o.held) > 0 {
		if err := o.each(heap.Pop(&o.held).(runindex.Line)); err != nil {
			return err
		}
	}
	return nil
}

// requests are runs of which the newest is on top: a heap.
type requests []runindex.Line

// Len implements [heap.Interface].
func (r requests) Len() int { return len(r) }

// Less implements [heap.Interface].
func (r requests) Less(i, j int) bool {
	a, b := askedAt(r[i]), askedAt(r[j])
	if a.Equal(b) {
		return r[i].Accepted > r[j].Accepted
	}
	return a.After(b)
}

// askedAt is when a run was asked for. Of one whose accepted fact cannot be read that is not
// known, but when its newest fact was stored.
func askedAt(l runindex.Line) time.Time {
	if l.RequestedAt.IsZero() {
		return l.UpdatedAt
	}
	return l.RequestedAt
}

// Swap implements [heap.Interface].
func (r requests) Swap(i, j int) { r[i], r[j] = r[j], r[i] }

// Push implements [heap.Interface].
func (r *requests) Push(line any) { *r = append(*r, line.(runindex.Line)) }

// Pop implements [heap.Interface].
func (r *requests) Pop() any {
	last := len(*r) - 1
	line := (*r)[last]
	*r = (*r)[:last]
	return line
}
