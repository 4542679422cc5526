package runsummary

import (
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/reportfolder"
)

// Links by these names are in every tracked run that has what they lead to.
// The tracker names them after the file, or after the MLflow run.
const (
	LinkWorkbook = "evaluator_output_detailed.xlsx"
	LinkMLflow   = "mlflow_pipeline"
)

// Summary is a run in short. Its JSON is part of the interface of commands.
type Summary struct {
	RunID   string `json:"run_id"`
	RunName string `json:"run_name"`
	// Status is that of [StatusOf].
	Status events.Status `json:"status"`
	// Conclusion is that of the pipeline, which is success also of a partial run.
	Conclusion     events.Conclusion    `json:"conclusion,omitempty"`
	Seconds        float64              `json:"duration_seconds,omitempty"`
	Phases         []events.PhaseResult `json:"phases,omitempty"`
	Scores         map[string]float64   `json:"scores,omitempty"`
	BaselineScores map[string]float64   `json:"baseline_scores,omitempty"`
	// Coverage and BaselineCoverage say for how many rows each score stands.
	Coverage         map[string]events.Coverage `json:"coverage,omitempty"`
	BaselineCoverage map[string]events.Coverage `json:"baseline_coverage,omitempty"`
	Gates            []events.Gate              `json:"gates,omitempty"`
	// Notes and Datasets are those of each phase, where all facts of the run are at hand,
	// see [Summary.AddNotes].
	Notes        map[events.Phase][]string         `json:"notes,omitempty"`
	Datasets     map[events.Phase][]events.Dataset `json:"datasets,omitempty"`
	FailedPhases []events.Phase                    `json:"failed_phases,omitempty"`
	Links        map[string]string                 `json:"links,omitempty"`
	// Gaps name what tracking lost for good, and why.
	Gaps    []string `json:"tracking_gaps,omitempty"`
	Pending bool     `json:"tracking_pending"`
	// Published says what became of the pushes to the Hub, Unpublished which of them no
	// publisher has said anything about yet.
	Published   []events.PublishedCompleted `json:"published,omitempty"`
	Unpublished []events.Product            `json:"publishing_pending,omitempty"`
}

// Of sums up a run.
func Of(run events.Run) Summary {
	s := Summary{RunID: run.ID, Status: StatusOf(run), Pending: run.Tracked == nil}
	if run.Accepted != nil {
		s.RunName = run.Accepted.RunName
	}
	if c := run.Completed; c != nil {
		s.Conclusion = c.Conclusion
		s.Seconds, s.Phases, s.Scores, s.BaselineScores = c.DurationSeconds, ofWorkers(run), c.Scores, c.BaselineScores
		s.Coverage, s.BaselineCoverage = c.Coverage, c.BaselineCoverage
		s.Gates, s.FailedPhases = c.Gates, c.FailedPhases
	}
	s.Published, s.Unpublished = Published(run), run.Unpublished()
	if run.Tracked != nil {
		s.Links, s.Gaps = run.Tracked.Links, run.Tracked.Gaps
	}
	return s
}

// AddNotes adds what the phases of a run note, such as rows that were left out, and the
// data sets that they read.
func (s *Summary) AddNotes(run events.Run) {
	for p, state := range run.Phases {
		done := state.Completed
		if done == nil {
			continue
		}
		if len(done.Notes) > 0 {
			if s.Notes == nil {
				s.Notes = map[events.Phase][]string{}
			}
			s.Notes[p] = done.Notes
		}
		if len(done.Datasets) > 0 {
			if s.Datasets == nil {
				s.Datasets = map[events.Phase][]events.Dataset{}
			}
			s.Datasets[p] = done.Datasets
		}
	}
}

// Published lists the newest push of each product to the Hub, in the order of the
// phases.
func Published(run events.Run) []events.PublishedCompleted {
	var out []events.PublishedCompleted
	for _, what := range events.Products() {
		if p, ok := run.Published[what]; ok {
			out = append(out, p)
		}
	}
	return out
}

// AddReports adds links to those of the named reports of a run that exist below folder,
// if the run has no links yet. The tracker writes the reports before it asks
// MLflow, so they exist although tracking is still pending.
func (s *Summary) AddReports(run events.Run, folder string, names ...string) {
	if len(s.Links) > 0 || folder == "" {
		return
	}
	dir, err := reportfolder.OfRun(folder, run)
	if err != nil {
		return // without a working folder there is no path to show
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			if s.Links == nil {
				s.Links = map[string]string{}
			}
			s.Links[name] = path
		}
	}
}
