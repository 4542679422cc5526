package cli

import (
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/report"
)

// runSummary is a run for scripts.
type runSummary struct {
	RunID          string               `json:"run_id"`
	RunName        string               `json:"run_name"`
	Status         events.Status        `json:"status"`
	Seconds        float64              `json:"duration_seconds,omitempty"`
	Phases         []events.PhaseResult `json:"phases,omitempty"`
	Scores         map[string]float64   `json:"scores,omitempty"`
	BaselineScores map[string]float64   `json:"baseline_scores,omitempty"`
	Gates          []events.Gate        `json:"gates,omitempty"`
	FailedPhases   []events.Phase       `json:"failed_phases,omitempty"`
	Links          map[string]string    `json:"links,omitempty"`
	// Gaps name what will never be tracked, and why.
	Gaps    []string `json:"tracking_gaps,omitempty"`
	Pending bool     `json:"tracking_pending"`

	told []events.AttemptResult // the attempts that people are told of
}

func summaryOf(run events.Run) runSummary {
	s := runSummary{RunID: run.ID, Status: run.Status(), Pending: run.Tracked == nil, told: attempts(run, 2)}
	if run.Accepted != nil {
		s.RunName = run.Accepted.RunName
	}
	if c := run.Completed; c != nil {
		s.Seconds, s.Phases, s.Scores, s.BaselineScores = c.DurationSeconds, c.Phases, c.Scores, c.BaselineScores
		s.Gates, s.FailedPhases = c.Gates, c.FailedPhases
	}
	if run.Tracked != nil {
		s.Links, s.Gaps = run.Tracked.Links, run.Tracked.Gaps
	}
	return s
}

// written adds the reports of a run that is not tracked yet: they are there
// before MLflow is asked.
func (s *runSummary) written(folder string) {
	if len(s.Links) > 0 || folder == "" {
		return
	}
	for _, name := range []string{report.WorkbookName, report.SummaryName, report.PipelineSummaryName} {
		path, err := filepath.Abs(filepath.Join(folder, s.RunID, name))
		if err != nil {
			continue // without a working folder there is no path to show
		}
		if _, err := os.Stat(path); err == nil {
			if s.Links == nil {
				s.Links = map[string]string{}
			}
			s.Links[name] = path
		}
	}
}

// closing writes a run's end for people: what happened, the scores before and
// after, where to look at it, and what to type next. again is the command
// that runs the same once more.
func closing(w io.Writer, run events.Run, s runSummary, again string) {
	fmt.Fprintf(w, "\n%s (%s): %s", s.RunName, s.RunID, s.Status)
	if run.Completed != nil {
		fmt.Fprintf(w, " in %.1f s", s.Seconds)
	}
	fmt.Fprint(w, "\n")
	if a := run.Accepted; a != nil && a.Lineage.RerunOf != "" && len(a.Plan) > 0 {
		fmt.Fprintf(w, "repeats %s from %s on\n", a.Lineage.RerunOf, a.Plan[0].Phase)
	}
	fmt.Fprintln(w)
	phases(w, run, s.told)
	scores(w, run, s)
	section(w, s.Gates, "GATE\tSCORE\tAT LEAST\tMET", func(g events.Gate) string {
		return fmt.Sprintf("%s\t%.3f\t%.3f\t%s", g.Metric, g.Score, g.AtLeast, map[bool]string{true: "yes", false: "no"}[g.Met])
	})
	section(w, slices.Sorted(maps.Keys(s.Links)), "RESULT\tWHERE", func(name string) string { return name + "\t" + s.Links[name] })
	for _, gap := range s.Gaps {
		fmt.Fprintf(w, "\nnot tracked: %s\n", gap)
	}
	if run.Completed == nil {
		return
	}
	fmt.Fprintln(w, "\nNext:")
	for _, step := range nextSteps(run, s, again) {
		fmt.Fprintf(w, "  %s\n", step)
	}
}

// phases writes a line for each phase of the plan and each attempt that people
// are told of, and the error of the phases that failed.
func phases(w io.Writer, run events.Run, told []events.AttemptResult) {
	if run.Accepted == nil {
		return
	}
	var failures []string
	table(w, run.Accepted.Plan, "PHASE\tSTATUS\tSECONDS\tATTEMPTS", func(step events.Step) string {
		p := run.Phases[step.Phase]
		status, seconds, attempts := string(p.Status()), "-", "-"
		if p == nil && run.Completed != nil {
			status = "not started"
		}
		if p != nil && len(p.Attempts) > 0 {
			attempts = fmt.Sprint(len(p.Attempts))
		}
		if p != nil && p.Completed != nil {
			seconds = fmt.Sprintf("%.1f", p.Completed.EndedAt.Sub(p.Completed.StartedAt).Seconds())
			if p.Completed.Error != nil {
				failures = append(failures, fmt.Sprintf("%s: %s", step.Phase, p.Completed.Error.Message))
			}
		}
		return fmt.Sprintf("%s\t%s\t%s\t%s", step.Phase, status, seconds, attempts)
	})
	section(w, told, attemptHeader, attemptLine)
	for _, f := range failures {
		fmt.Fprintf(w, "\n%s\n", f)
	}
}

// scores writes the scores, beside those of the base model where there are
// any.
func scores(w io.Writer, run events.Run, s runSummary) {
	model := "MODEL"
	if tuned(run) {
		model = "TUNED MODEL"
	}
	names := slices.Sorted(maps.Keys(s.Scores))
	if len(s.BaselineScores) == 0 {
		section(w, names, "SCORE\t"+model, func(name string) string { return fmt.Sprintf("%s\t%.3f", name, s.Scores[name]) })
		return
	}
	section(w, names, "SCORE\tBASE MODEL\t"+model, func(name string) string {
		before := "-"
		if v, ok := s.BaselineScores[name]; ok {
			before = fmt.Sprintf("%.3f", v)
		}
		return fmt.Sprintf("%s\t%s\t%.3f", name, before, s.Scores[name])
	})
}

// tuned reports whether the model that answered was a tuned one.
func tuned(run events.Run) bool {
	p := run.Phases[events.Finetune]
	return run.Accepted != nil && run.Accepted.Inputs.Model != nil || p != nil && p.Completed != nil && p.Completed.Conclusion == events.Success
}

// section is a table below an empty line, or nothing at all.
func section[T any](w io.Writer, values []T, header string, line func(T) string) {
	if len(values) > 0 {
		fmt.Fprintln(w)
		table(w, values, header, line)
	}
}

// table writes a line for each value below a header.
func table[T any](w io.Writer, values []T, header string, line func(T) string) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, header)
	for _, v := range values {
		fmt.Fprintln(t, line(v))
	}
	_ = t.Flush() // to a person's screen
}

// nextSteps are what to do, or to type, after a run has ended.
func nextSteps(run events.Run, s runSummary, again string) []string {
	var out []string
	switch run.Completed.Conclusion {
	case events.Failure:
		out = append(out, "mend what the error names, then: "+again)
		out = append(out, reuse(run, again)...)
	case events.Cancelled:
		out = append(out, "start it again: "+again)
		out = append(out, reuse(run, again)...)
	default:
		if book, ok := s.Links[report.WorkbookName]; ok {
			out = append(out, "open the workbook: "+book)
		}
	}
	if uri := s.Links["mlflow_pipeline"]; strings.HasPrefix(uri, "file:") {
		store := filepath.Dir(filepath.Dir(strings.TrimPrefix(uri, "file://")))
		out = append(out, "move the MLflow runs into a database, to browse them: mlflow migrate-filestore --source "+store+" --target sqlite:////absolute/path/mlflow.db")
	} else if uri != "" {
		out = append(out, "compare it in MLflow: "+uri)
	}
	if run.Completed.Conclusion == events.Success {
		out = append(out, "your own data: "+again+" --set fine_tuner.training_data_id=my.jsonl --set inferencer.testing_data_id=my-test.jsonl")
	}
	return out
}

// reuse says how to go on with what a run has finished, where there is any
// and a server that stays.
func reuse(run events.Run, again string) []string {
	for _, p := range run.Phases {
		if p.Completed != nil && p.Completed.Conclusion == events.Success && !strings.HasPrefix(again, "tunebus run ") {
			return []string{"or use again what is finished: tunebus rerun " + run.ID}
		}
	}
	return nil
}
