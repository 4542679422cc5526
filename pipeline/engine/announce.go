package engine

import "context"

// Announcement is what an engine tells of its work before the first step.
type Announcement struct {
	// Warning is a sentence for people; empty without one.
	Warning string
	// Done and Total are the rows that are prepared. Total is 0 if it is unknown.
	Done, Total int64
}

// Warn tells people at once of something that they may want to stop the run for:
// in the log, on the screen of those who follow the run, and as a note of the
// phase.
func Warn(ctx context.Context, j *Job, text string) {
	j.runtime.Announce(ctx, Announcement{Warning: text})
}

// Prepared tells how many rows are prepared. It is called for each
// row, and counts it as [Job.Advance] does.
func Prepared(ctx context.Context, j *Job, done, total int64) {
	j.monitor.Advance(1)
	j.runtime.Announce(ctx, Announcement{Done: done, Total: total})
}
