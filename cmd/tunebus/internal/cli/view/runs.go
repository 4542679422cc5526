package view

import (
	"fmt"
	"io"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// cancellation is what became of a run that was to be cancelled, for scripts.
type cancellation struct {
	runsummary.Summary
	// Requested is false if the run had ended before.
	Requested bool `json:"cancel_requested"`
	// Took is the time from the request to the run's end, in seconds.
	Took float64 `json:"cancel_seconds,omitempty"`
}

// Cancellation is what became of a run that was to be cancelled: requested is
// false if it had ended before, and seconds is the time from the request to
// the run's end.
func Cancellation(run events.Run, requested bool, seconds float64) Result {
	c := cancellation{runsummary.Of(run), requested, seconds}
	end := run.Completed
	if end == nil {
		c.Took = 0
	}
	return Result{c, func(w io.Writer) {
		switch {
		case end == nil:
			fmt.Fprintf(w, "cancel of %s requested; %s shows its end\n", run.ID, terminal.Completed(w, `"tunebus watch `+run.ID+`"`))
		case !requested:
			fmt.Fprintf(w, "run %s has ended already: %s\n", run.ID, c.Status)
		case end.Conclusion == events.Cancelled:
			fmt.Fprintf(w, "run %s was cancelled%s\n", run.ID, within(c.Took))
		default:
			fmt.Fprintf(w, "run %s ended before it could be cancelled: %s\n", run.ID, c.Status)
		}
		if requested && end != nil {
			fmt.Fprintln(w)
			WritePhases(w, run, runsummary.Attempts(run, 2))
		}
	}}
}

// within says how long a cancellation took, if that was any time.
func within(seconds float64) string {
	const unseen = 0.05
	if seconds < unseen {
		return ""
	}
	return " within " + Took(seconds)
}
