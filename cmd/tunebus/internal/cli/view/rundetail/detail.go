package rundetail

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/losshistory"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/services/tracker/report"
	"github.com/tunebus/tunebus/services/tracker/report/pipelinesummary"
)

// Detail is what is shown of a run.
type Detail struct {
	Run events.Run
	// Unreadable are the facts that cannot be read.
	Unreadable []history.UnreadableFact
	// Archived is set if the facts of the run are in the artifact store alone.
	Archived bool
	Waits    Waits
	// Progress is the newest of the attempt that works on the run; nil if there is
	// none.
	Progress *events.Progress
	Loss     losshistory.Curves
	// LossTrouble is why the losses cannot be read.
	LossTrouble error
	Again       runsummary.Retry
	// Logs is the command that shows the log of the run.
	Logs string
	// Now is when the run is shown.
	Now time.Time
	// Stopped is set if the process that worked on the run has ended, and nobody works on its
	// data folder.
	Stopped bool

	// Reports is the folder of the reports of the data folder; empty: not known. It tells where
	// those of a run are whose tracking is pending.
	Reports string
	// Track is the command that tracks a run whose tracking is pending; empty: a service of
	// the server does it.
	Track string

	attempts []events.AttemptResult
}

// isPending reports whether the run has ended and is not tracked yet.
func (d Detail) isPending() bool { return d.Run.Completed != nil && d.Run.Tracked == nil }

// summary is the run in short, with the reports that are there.
func (d Detail) summary() runsummary.Summary {
	s := runsummary.Of(d.Run)
	if d.isPending() {
		s.AddReports(d.Run, d.Reports, report.WorkbookName, report.SummaryName, report.PipelineSummaryName, report.ConfigName)
	}
	return s
}

// Waits are what a run waits for.
type Waits struct {
	// Worker is the queue whose workers are missing.
	Worker string `json:"waits_for_worker_of,omitempty"`
	// For is what the attempt that works on the run announces.
	For string `json:"waits_for,omitempty"`
}

// detail is a run for scripts: what pipeline_summary.json has, and more.
type detail struct {
	pipelinesummary.Summary
	Archived      bool                     `json:"archived,omitempty"`
	Pending       bool                     `json:"tracking_pending,omitempty"` // the run has ended
	Model         string                   `json:"base_model,omitempty"`
	MainScore     *runindex.Score          `json:"main_score,omitempty"`
	Elapsed       float64                  `json:"elapsed_seconds,omitempty"`
	Progress      *events.Progress         `json:"progress,omitempty"`
	Loss          *losshistory.Curves      `json:"loss,omitempty"`
	Specification *events.Specification    `json:"specification,omitempty"`
	Unreadable    []history.UnreadableFact `json:"unreadable,omitempty"`
	Stopped       bool                     `json:"stopped,omitempty"` // its process has ended, and nobody works on it
	Waits
}

// Show shows a run.
func Show(d Detail) view.Result {
	if d.Stopped {
		d.attempts = stoppedAttempts(runsummary.Attempts(d.Run, 1))
	} else {
		d.attempts = runsummary.Attempts(d.Run, 1)
	}
	value := detail{Summary: pipelinesummary.Of(d.Run, d.Again.On...), Archived: d.Archived, Progress: d.Progress, Unreadable: d.Unreadable, Stopped: d.Stopped, Waits: d.Waits}
	if d.Stopped {
		value.Status = runsummary.StatusStopped
		for i, p := range value.Phases {
			if p.Attempts > 0 && p.Status == events.StatusQueued {
				p.Status = runsummary.StatusStopped
			}
			value.Phases[i].Status, value.Phases[i].AttemptResults = runsummary.Stopped(p.Status), stoppedAttempts(p.AttemptResults)
		}
	}
	if a := d.Run.Accepted; a != nil {
		value.Specification, value.Model = &a.Specification, baseModel(a.Specification)
		value.MainScore = runindex.MainScore(a.Specification.Evaluator.Metrics, value.Scores)
		if d.Run.Completed == nil {
			value.Elapsed = max(0, d.Now.Sub(a.RequestedAt).Seconds())
		}
	}
	if value.Pending = d.isPending(); value.Pending {
		value.Links = d.summary().Links
	}
	if d.Loss != (losshistory.Curves{}) {
		value.Loss = &d.Loss
	}
	return view.NewResult(value, func(w io.Writer) {
		d.write(w)
	})
}

// stoppedAttempts are attempts on a data folder on which nobody works.
func stoppedAttempts(attempts []events.AttemptResult) []events.AttemptResult {
	attempts = slices.Clone(attempts)
	for i, a := range attempts {
		attempts[i].Outcome = string(runsummary.Stopped(events.Status(a.Outcome)))
	}
	return attempts
}

func baseModel(s events.Specification) string {
	if s.FineTuner.BaseModelID != "" {
		return s.FineTuner.BaseModelID
	}
	return s.Inferencer.ModelID
}

// write writes a run for people.
func (d Detail) write(w io.Writer) {
	run, s := d.Run, d.summary()
	d.writeHead(w, s)
	if d.Stopped {
		view.WriteStoppedPhases(w, run, d.attempts)
	} else {
		view.WritePhases(w, run, d.attempts)
	}
	d.writeState(w)
	d.writeInputs(w)
	writeChart(w, "loss", d.Loss.Training)
	writeChart(w, "validation loss", d.Loss.Validation)
	if d.LossTrouble != nil {
		fmt.Fprintf(w, "\nthe loss cannot be shown: %v\n", d.LossTrouble)
	}
	view.WriteScores(w, run, s)
	view.WriteGates(w, s)
	writeArtifacts(w, run)
	view.Section(w, slices.Sorted(maps.Keys(s.Links)), "RESULT\tWHERE", func(name string) string { return name + "\t" + s.Links[name] })
	for _, gap := range s.Gaps {
		fmt.Fprintf(w, "\nnot tracked: %s\n", gap)
	}
	if d.isPending() {
		fmt.Fprintf(w, "\ntracking is pending: %s\n", d.pendingParts(s))
	}
	view.WritePublished(w, s)
	for _, step := range run.Accepted.Plan {
		if p := run.Phases[step.Phase]; p != nil && p.Completed != nil {
			for _, n := range view.Together(p.Completed.Notes) {
				fmt.Fprintf(w, "\nnote of %s: %s\n", step.Phase, terminal.Completed(w, n))
			}
		}
	}
	for _, f := range d.Unreadable {
		fmt.Fprintf(w, "\n%s\n", terminal.Completed(w, fmt.Sprint(f)))
	}
	view.WriteNext(w, run, s, d.Again)
	if d.Logs != "" && (run.Completed == nil || run.Completed.Conclusion != events.Failure) { // those steps have it
		if run.Completed == nil {
			fmt.Fprintln(w, "\nNext:")
		}
		fmt.Fprintf(w, "  read its log:\n    %s\n", d.Logs)
	}
}

// pendingParts says which parts of the tracking may be missing. Where the folder of the reports
// is known, those that are there tell which part it is.
func (d Detail) pendingParts(s runsummary.Summary) string {
	missing, what := d.missingReports(s), "MLflow does not have all of this run yet, or its reports are not all there"
	switch {
	case d.Reports != "" && len(missing) > 0:
		what = fmt.Sprintf("its reports are not all in %s yet, which lacks %s", d.Reports, strings.Join(missing, ", "))
	case d.Reports != "":
		what = "MLflow does not have all of this run yet"
	}
	if d.Track != "" {
		return what + "; this makes up for it:\n  " + d.Track
	}
	return what + "; the log of the tracker says why"
}

// missingReports are the reports that every run of its kind has, and this one has not.
func (d Detail) missingReports(s runsummary.Summary) (missing []string) {
	names := []string{report.PipelineSummaryName, report.ConfigName}
	if p := d.Run.Phases[events.Evaluation]; p != nil && p.Completed != nil {
		if _, ok := p.Completed.Artifact(events.ArtifactScores); ok {
			names = append(names, report.SummaryName, report.WorkbookName)
		}
	}
	for _, name := range names {
		if s.Links[name] == "" {
			missing = append(missing, name)
		}
	}
	return missing
}

// writeHead writes what the run is.
func (d Detail) writeHead(w io.Writer, s runsummary.Summary) {
	a := d.Run.Accepted
	if d.Stopped {
		s.Status = runsummary.StatusStopped
	}
	view.WriteTitle(w, d.Run, s)
	when := "asked for " + clock(a.RequestedAt)
	if end := d.Run.Completed; end != nil {
		when += ", ended " + clock(end.EndedAt)
	} else if took := d.Now.Sub(a.RequestedAt); took > 0 {
		when += fmt.Sprintf(", %s ago", took.Round(time.Second))
	}
	if d.Archived {
		when += ", archived"
	}
	fmt.Fprintln(w, when)
	if len(a.Labels) > 0 {
		var labels []string
		for _, key := range slices.Sorted(maps.Keys(a.Labels)) {
			labels = append(labels, view.Inline(key+"="+a.Labels[key]))
		}
		fmt.Fprintf(w, "labels: %s\n", strings.Join(labels, ", "))
	}
	if model := baseModel(a.Specification); model != "" {
		fmt.Fprintf(w, "base model: %s\n", view.Inline(model))
	}
	if c := d.Run.Cancel; c != nil {
		fmt.Fprintf(w, "cancel asked for%s%s\n", before(" by ", view.Inline(c.By)), before(": ", view.Inline(c.Reason)))
	}
	fmt.Fprintln(w)
}

// before is a text with something in front of it; nothing without a text.
func before(mark, text string) string {
	if text == "" {
		return ""
	}
	return mark + text
}

func clock(t time.Time) string {
	if t.IsZero() {
		return "at an unknown time"
	}
	return t.Local().Format(time.DateTime)
}

// writeState writes how far an open run is, and what it waits for.
func (d Detail) writeState(w io.Writer) {
	if p := d.Progress; p != nil {
		what := map[events.Phase]string{events.Finetune: "step", events.Inference: "answer", events.Evaluation: "row"}[p.Phase]
		if d.Stopped {
			what = "stopped at " + what
		}
		if p.Stage != "" {
			what = "reading its data, row"
		}
		fmt.Fprintf(w, "\n%s: %s %d", p.Phase, what, p.Step)
		if p.Total > 0 {
			fmt.Fprintf(w, " of %d (%d %%)", p.Total, view.Percent(p.Step, p.Total))
		}
		if p.RemainingSeconds > 0 && !d.Stopped {
			fmt.Fprintf(w, ", %s left", time.Duration(p.RemainingSeconds*float64(time.Second)).Round(time.Second))
		}
		fmt.Fprintln(w)
	}
	if d.Waits.Worker != "" {
		fmt.Fprintf(w, "\nit %s\n", view.WaitsForWorker(d.Waits.Worker))
	}
	if d.Waits.For != "" {
		fmt.Fprintf(w, "\nit %s\n", terminal.Completed(w, view.WaitsFor(d.Waits.For)))
	}
}
