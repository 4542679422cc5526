package view

import (
	"fmt"
	"io"

	"github.com/tunebus/tunebus/services/tracker/report/pipelinesummary"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// ListedRun is a run in the list of runs.
type ListedRun struct {
	runsummary.Summary
	// WaitsFor is the queue whose workers are missing.
	WaitsFor string `json:"waits_for_worker_of,omitempty"`
}

// StatusUnreadable is the status of a run of which no fact can be read.
const StatusUnreadable events.Status = "unreadable"

// Runs is the list of the runs of a server.
func Runs(list []ListedRun, server string) Result {
	return Result{list, func(w io.Writer) {
		if len(list) == 0 {
			fmt.Fprintf(w, "%s knows no runs yet\n", server)
			return
		}
		Table(w, list, "RUN\tNAME\tSTATUS\tSECONDS\t", func(r ListedRun) string {
			waits := ""
			if r.WaitsFor != "" {
				waits = WaitsForWorker(r.WaitsFor)
			}
			return fmt.Sprintf("%s\t%s\t%s\t%.1f\t%s", r.RunID, r.RunName, r.Status, r.Seconds, waits)
		})
	}}
}

// shownRun is everything about a run, for scripts.
type shownRun struct {
	pipelinesummary.Summary
	// Unreadable are the facts that cannot be read.
	Unreadable []history.UnreadableFact `json:"unreadable,omitempty"`
	Waits
}

// Waits are what a run waits for.
type Waits struct {
	// Worker is the queue whose workers are missing.
	Worker string `json:"waits_for_worker_of,omitempty"`
	// For is what the attempt that works on the run announces.
	For string `json:"waits_for,omitempty"`
}

// Run is everything that is known of a run, beside the facts of it that cannot
// be read.
func Run(run events.Run, unreadable []history.UnreadableFact, waits Waits, again runsummary.Retry) Result {
	return Result{shownRun{pipelinesummary.Of(run), unreadable, waits}, func(w io.Writer) {
		writeSummary(w, run, runsummary.Of(run), runsummary.Attempts(run, 1), nil, again)
		if waits.Worker != "" {
			fmt.Fprintf(w, "\nit %s\n", WaitsForWorker(waits.Worker))
		}
		if waits.For != "" {
			fmt.Fprintf(w, "\nit %s\n", WaitsFor(waits.For))
		}
		for _, step := range run.Accepted.Plan {
			if p := run.Phases[step.Phase]; p != nil && p.Completed != nil {
				for _, n := range p.Completed.Notes {
					fmt.Fprintf(w, "\nnote of %s: %s\n", step.Phase, n)
				}
			}
		}
		for _, f := range unreadable {
			fmt.Fprintf(w, "\n%s\n", f)
		}
	}}
}

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
			fmt.Fprintf(w, "cancel of %s requested; \"tunebus watch %s\" shows its end\n", run.ID, run.ID)
		case !requested:
			fmt.Fprintf(w, "run %s has ended already: %s\n", run.ID, c.Status)
		case end.Conclusion == events.Cancelled:
			fmt.Fprintf(w, "run %s was cancelled within %.1f s\n", run.ID, c.Took)
		default:
			fmt.Fprintf(w, "run %s ended before it could be cancelled: %s\n", run.ID, c.Status)
		}
		if requested && end != nil {
			fmt.Fprintln(w)
			writePhases(w, run, runsummary.Attempts(run, 2))
		}
	}}
}
