package metrics

import (
	"time"

	"github.com/tunebus/tunebus/events"
)

const (
	// publishInterval bounds how often progress is published.
	publishInterval = 250 * time.Millisecond
	// batchPoints is the number of points with which a batch is due.
	batchPoints = events.MaxNumbers
)

// batch collects the points that are published together, and estimates the
// time left.
type batch struct {
	progress  events.Progress
	published time.Time

	started   bool
	startStep int64
	startTime time.Time
}

// add adds the points of a step, and reports whether the batch is due.
func (b *batch) add(step, total int64, points []events.Point, now time.Time) (due bool) {
	if !b.started {
		b.started, b.startStep, b.startTime = true, step, now
	}
	b.progress.Step, b.progress.Total = step, total
	b.progress.Points = append(b.progress.Points, points...)
	b.progress.RemainingSeconds = 0
	if done := step - b.startStep; done > 0 && total > step {
		b.progress.RemainingSeconds = now.Sub(b.startTime).Seconds() / float64(done) * float64(total-step)
	}
	return now.Sub(b.published) >= publishInterval || len(b.progress.Points) >= batchPoints || step == total
}

// waiting reports whether there are points that were not published.
func (b *batch) waiting() bool { return len(b.progress.Points) > 0 }

// take returns the batch as an event and starts the next one.
func (b *batch) take(now time.Time) events.Progress {
	ev := b.progress
	b.progress.Points = nil
	b.published = now
	return ev
}
