// Package replayed renders runs and requests that are repeated.
package replayed

import (
	"fmt"
	"io"
	"slices"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/replay"
	"github.com/tunebus/tunebus/services/tracker"
)

// rerun is a run that repeats another one, for scripts.
type rerun struct {
	RunID   string         `json:"run_id"`
	RerunOf string         `json:"rerun_of"`
	From    events.Phase   `json:"from,omitempty"`
	Phases  []events.Phase `json:"phases,omitempty"`
}

// Rerun is a run that repeats another one from a phase on. The plan is nil as
// long as the request is not accepted.
func Rerun(id, of string, from events.Phase, plan []events.Step) view.Result {
	r := rerun{RunID: id, RerunOf: of, From: from}
	for _, step := range plan {
		r.Phases = append(r.Phases, step.Phase)
	}
	return view.NewResult(r, func(w io.Writer) { fmt.Fprintln(w, id) })
}

// Request is a request that was submitted again.
func Request(s replay.Submitted) view.Row {
	s.OldRun = view.Printable(s.OldRun)
	return view.NewRow(s, fmt.Sprintf("%-8d %-26s  %s", s.Request, s.OldRun, s.RunID))
}

// Tracking sums up a replay of tracking. Its JSON is the command's
// result.
type Tracking struct {
	// To is where the runs went, unless each went where it belongs.
	To      string `json:"to,omitempty"`
	Written int    `json:"written"`
	// Recorded are the runs that were not tracked before.
	Recorded []string         `json:"recorded,omitempty"`
	Open     int              `json:"open"`
	Early    int              `json:"early,omitempty"`
	Unknown  []string         `json:"unknown,omitempty"`
	Failed   []FailedTracking `json:"failed,omitempty"`
	// Gaps name what could not be written, by run.
	Gaps    map[string][]string `json:"gaps,omitempty"`
	Seconds float64             `json:"duration_seconds"`
	DryRun  bool                `json:"dry_run"`
}

// FailedTracking is a run that could not be tracked, and why.
type FailedTracking struct {
	Run string `json:"run_id"`
	Why string `json:"why"`
}

// Add adds what became of one run.
func (s *Tracking) Add(one tracker.Rebuilt) {
	switch one.Outcome {
	case tracker.Written:
		s.Written++
	case tracker.Open:
		s.Open++
	case tracker.Early:
		s.Early++
	case tracker.Unknown:
		s.Unknown = append(s.Unknown, one.Run)
	case tracker.Failed:
		s.Failed = append(s.Failed, FailedTracking{one.Run, one.Err.Error()})
	}
	if one.Recorded {
		s.Recorded = append(s.Recorded, one.Run)
	}
	if len(one.Gaps) > 0 {
		if s.Gaps == nil {
			s.Gaps = map[string][]string{}
		}
		s.Gaps[one.Run] = one.Gaps
	}
}

// Result is what the command prints.
func (s *Tracking) Result() view.Result { return view.NewResult(s, s.write) }

func (s *Tracking) write(w io.Writer) {
	verb := "written"
	if s.DryRun {
		verb = "would be written"
	}
	fmt.Fprintf(w, "%s %s in %s; %d still running\n", view.Count(s.Written, "run"), verb, view.Took(s.Seconds), s.Open)
	slices.Sort(s.Recorded)
	for _, run := range s.Recorded {
		fmt.Fprintf(w, "tracked now: %s\n", run)
	}
	for _, run := range s.Unknown {
		fmt.Fprintf(w, "unknown: %s\n", run)
	}
	for _, f := range s.Failed {
		fmt.Fprintf(w, "failed: %s: %s\n", f.Run, f.Why)
	}
	for run, gaps := range s.Gaps {
		for _, gap := range gaps {
			fmt.Fprintf(w, "gap of %s: %s\n", run, gap)
		}
	}
}
