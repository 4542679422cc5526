package view

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// PrintRunEnd prints the result of a command that followed a run to its end. An error
// that stands above on the same screen is not said again.
func (c *Console) PrintRunEnd(run events.Run, s runsummary.Summary, again runsummary.Retry) error {
	var said saidErrors
	if c.out.IsScreen() && c.screen.IsScreen() || terminal.SameFile(c.out, c.screen) {
		said = c.errors
	}
	if !c.JSON && c.screen.Written() {
		fmt.Fprintln(c.screen) // parts the result from the progress, and is no part of it
	}
	return c.Print(Result{s, func(w io.Writer) { writeSummary(w, run, s, runsummary.Attempts(run, 2), said, again) }})
}

// writeSummary writes a run for people: what happened, the given attempts, the
// scores before and after tuning, where the results are, and what to do next. said
// are errors that the person has read already.
func writeSummary(w io.Writer, run events.Run, s runsummary.Summary, attempts []events.AttemptResult, said saidErrors, again runsummary.Retry) {
	WriteTitle(w, run, s)
	fmt.Fprintln(w)
	writePhasesAnew(w, run, attempts, said, false)
	writeData(w, run)
	WriteScores(w, run, s)
	WriteGates(w, s)
	Section(w, slices.Sorted(maps.Keys(s.Links)), "RESULT\tWHERE", func(name string) string { return name + "\t" + s.Links[name] })
	for _, gap := range s.Gaps {
		fmt.Fprintf(w, "\nnot tracked: %s\n", gap)
	}
	WritePublished(w, s)
	WriteNext(w, run, s, again)
}

// WriteTitle writes which run it is, and its state.
func WriteTitle(w io.Writer, run events.Run, s runsummary.Summary) {
	fmt.Fprintf(w, "%s (%s): %s", Inline(s.RunName), s.RunID, s.Status)
	if run.Completed != nil {
		fmt.Fprint(w, " in "+Took(s.Seconds))
	}
	if why := runsummary.Shortfall(run); why != "" {
		fmt.Fprint(w, ": "+why)
	}
	fmt.Fprintln(w)
	if a := run.Accepted; a != nil && a.Lineage.RerunOf != "" && len(a.Plan) > 0 {
		fmt.Fprintf(w, "repeats %s from %s on\n", a.Lineage.RerunOf, a.Plan[0].Phase)
	}
}

// WriteGates writes the gates, and whether they were met.
func WriteGates(w io.Writer, s runsummary.Summary) {
	Section(w, s.Gates, "GATE\tSCORE\tAT LEAST\tMET", func(g events.Gate) string {
		met := "no"
		if g.Met {
			met = "yes"
		}
		if g.Reason != "" {
			met += ": " + g.Reason
		}
		return fmt.Sprintf("%s\t%.3f\t%.3f\t%s", g.Metric, g.Score, g.AtLeast, met)
	})
}

// WriteNext writes what can be done after a run has ended.
func WriteNext(w io.Writer, run events.Run, s runsummary.Summary, again runsummary.Retry) {
	if run.Completed == nil {
		return
	}
	fmt.Fprintln(w, "\nNext:")
	for _, step := range runsummary.NextSteps(run, s, again) {
		fmt.Fprintf(w, "  %s:\n    %s\n", step.Do, step.With) // a line that can be typed as it stands
	}
}

// WritePhases writes a line for each phase of the plan, one for each of the
// attempts, and the error of each phase that failed.
func WritePhases(w io.Writer, run events.Run, attempts []events.AttemptResult) {
	writePhasesAnew(w, run, attempts, nil, false)
}

// WriteStoppedPhases is [WritePhases] for a run on whose data folder nobody works.
func WriteStoppedPhases(w io.Writer, run events.Run, attempts []events.AttemptResult) {
	writePhasesAnew(w, run, attempts, nil, true)
}

// writePhasesAnew is WritePhases for a person who has read some of the errors. Each
// one is written once. stopped is set if nobody works on the run.
func writePhasesAnew(w io.Writer, run events.Run, attempts []events.AttemptResult, said saidErrors, stopped bool) {
	if run.Accepted == nil {
		return
	}
	said = maps.Clone(said)
	if said == nil {
		said = saidErrors{}
	}
	type failure struct {
		phase   events.Phase
		message string
	}
	var failures []failure
	Table(w, run.Accepted.Plan, "PHASE\tSTATUS\tSECONDS\tATTEMPTS", func(step events.Step) string {
		p := run.Phases[step.Phase]
		status, seconds, attempts := runsummary.PhaseStatus(run, step.Phase), "-", "-"
		if n := runsummary.Tries(p); n > 0 {
			attempts = fmt.Sprint(n)
			if stopped && p.Completed == nil {
				status = string(runsummary.StatusStopped)
			}
		}
		if p != nil && p.Completed != nil {
			if took, known := runsummary.Worked(p); known {
				seconds = fmt.Sprintf("%.1f", took.Seconds())
			}
			if p.Completed.Error != nil {
				failures = append(failures, failure{step.Phase, p.Completed.Error.Message})
			}
		}
		return fmt.Sprintf("%s\t%s\t%s\t%s", step.Phase, status, seconds, attempts)
	})
	resumed := slices.ContainsFunc(attempts, func(a events.AttemptResult) bool { return a.ResumedFrom > 0 })
	Section(w, attempts, "ATTEMPT\tOUTCOME\tWORKER\tFROM STEP\tSTARTED\tSECONDS\tERROR", func(a events.AttemptResult) string {
		line := attemptLine(a, resumed)
		if a.Error == nil {
			return line
		}
		if said[a.Error.Message] {
			return line + "as above"
		}
		said[a.Error.Message] = true
		return line + terminal.Completed(w, problem(*a.Error))
	})
	for _, f := range failures {
		if !said[f.message] {
			said[f.message] = true
			fmt.Fprintf(w, "\n%s: %s\n", f.phase, terminal.Completed(w, f.message))
		}
	}
}

// writeData writes what became of the rows of each data set.
func writeData(w io.Writer, run events.Run) {
	var sets []events.Dataset
	for _, p := range events.Phases() {
		if state := run.Phases[p]; state != nil && state.Completed != nil {
			for _, d := range state.Completed.Datasets {
				if d.RowsRead > 0 { // older programs did not count
					sets = append(sets, d)
				}
			}
		}
	}
	header := "DATA\tROWS\tUSED"
	var losses []func(events.Dataset) int64 // in any of the sets
	for _, loss := range []struct {
		header string
		count  func(events.Dataset) int64
	}{
		{"WITHOUT ANSWER", func(d events.Dataset) int64 { return d.WithoutAnswer }},
		{"DROPPED", func(d events.Dataset) int64 { return d.Dropped }},
		{"CUT IN PROMPT", func(d events.Dataset) int64 { return d.CutInPrompt }},
		{"CUT IN ANSWER", func(d events.Dataset) int64 { return d.CutInAnswer }},
	} {
		if slices.ContainsFunc(sets, func(d events.Dataset) bool { return loss.count(d) > 0 }) {
			header += "\t" + loss.header
			losses = append(losses, loss.count)
		}
	}
	Section(w, sets, header, func(d events.Dataset) string {
		line := fmt.Sprintf("%s\t%d\t%d", d.Key, d.RowsRead, d.Rows)
		for _, count := range losses {
			line += "\t" + some(count(d))
		}
		return line
	})
}

// some is a number, or a dash for none.
func some(n int64) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprint(n)
}

// problem writes an error with its code, which programs look for.
func problem(p events.Problem) string {
	if p.Code == "" {
		return p.Message
	}
	return p.Code + ": " + p.Message
}

// attemptLine is a line of the table of attempts, up to its error. Where none resumed from a
// checkpoint, the table does not say from which step.
func attemptLine(a events.AttemptResult, resumed bool) string {
	worker, started, seconds := "-", "-", "-"
	if a.Worker != "" {
		worker = a.Worker
	}
	if !a.StartedAt.IsZero() {
		started = a.StartedAt.Local().Format(time.DateTime)
		if !a.EndedAt.IsZero() {
			seconds = fmt.Sprintf("%.1f", a.EndedAt.Sub(a.StartedAt).Seconds())
		}
	}
	from := ""
	if resumed {
		from = fmt.Sprint(a.ResumedFrom)
	}
	return fmt.Sprintf("%s %d\t%s\t%s\t%s\t%s\t%s\t", a.Phase, a.Number, a.Outcome, worker, from, started, seconds)
}

// WriteScores writes the scores, beside those of the base model if the run has
// any.
func WriteScores(w io.Writer, run events.Run, s runsummary.Summary) {
	model := "MODEL"
	if runsummary.TunedModel(run) {
		model = "TUNED MODEL"
	}
	names := slices.Sorted(maps.Keys(s.Scores))
	for name := range s.Coverage { // also those that no row has a score of
		if _, scored := s.Scores[name]; !scored {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	header := "SCORE"
	if len(s.BaselineScores) > 0 {
		header += "\tBASE MODEL"
	}
	header += "\t" + model
	if len(s.Coverage) > 0 {
		header += "\tROWS"
	}
	Section(w, names, header, func(name string) string {
		line := name
		if len(s.BaselineScores) > 0 {
			line += "\t" + covered(s.BaselineScores, s.BaselineCoverage, name)
		}
		line += "\t" + number(s.Scores, name)
		if c, ok := s.Coverage[name]; ok {
			line += "\t" + rows(c)
		}
		return line
	})
}

func number(scores map[string]float64, name string) string {
	if v, ok := scores[name]; ok {
		return fmt.Sprintf("%.3f", v)
	}
	return "-"
}

// covered is a score with the rows that it stands for, unless these are all.
func covered(scores map[string]float64, coverage map[string]events.Coverage, name string) string {
	c, ok := coverage[name]
	if !ok || c.Scored == c.Rows {
		return number(scores, name)
	}
	return number(scores, name) + " (" + rows(c) + ")"
}

// rows says for how many rows a score stands.
func rows(c events.Coverage) string {
	if c.Scored == c.Rows {
		return fmt.Sprint(c.Rows)
	}
	return fmt.Sprintf("%d of %d", c.Scored, c.Rows)
}
