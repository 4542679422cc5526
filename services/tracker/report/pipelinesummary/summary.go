// Package pipelinesummary is the JSON of pipeline_summary.json and "tunebus show":
// one run in full detail, for programs.
//
//	summary := pipelinesummary.Of(events.Fold(facts))
package pipelinesummary

import (
	"maps"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// Summary is the whole run. Its JSON is the file pipeline_summary.json. Fields
// of events that have not happened yet are absent.
type Summary struct {
	RunID   string `json:"run_id"`
	RunName string `json:"run_name,omitempty"`
	// Status is that of [runsummary.StatusOf], Conclusion that of the pipeline, which is
	// success also of a partial run.
	Status          events.Status     `json:"status"`
	Conclusion      events.Conclusion `json:"conclusion,omitempty"`
	RequestedAt     *time.Time        `json:"requested_at,omitempty"`
	StartedAt       *time.Time        `json:"started_at,omitempty"`
	EndedAt         *time.Time        `json:"ended_at,omitempty"`
	DurationSeconds float64           `json:"duration_seconds,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	Plan            []events.Step     `json:"plan,omitempty"`
	// Phases are in the order of the plan.
	Phases         []Phase            `json:"phases,omitempty"`
	Scores         map[string]float64 `json:"scores,omitempty"`
	BaselineScores map[string]float64 `json:"baseline_scores,omitempty"`
	// Coverage and BaselineCoverage say for how many rows each score stands.
	Coverage         map[string]events.Coverage `json:"coverage,omitempty"`
	BaselineCoverage map[string]events.Coverage `json:"baseline_coverage,omitempty"`
	// Gains are the scores minus the scores of the baseline, for metrics that
	// have both.
	Gains        map[string]float64      `json:"gains,omitempty"`
	Gates        []events.Gate           `json:"gates,omitempty"`
	FailedPhases []events.Phase          `json:"failed_phases,omitempty"`
	Inputs       events.Inputs           `json:"inputs,omitzero"`
	Lineage      events.Lineage          `json:"lineage,omitzero"`
	Cancel       *events.CancelRequested `json:"cancel,omitempty"`
	Faults       []events.Fault          `json:"faults,omitempty"`
	Links        map[string]string       `json:"links,omitempty"`
	Gaps         []string                `json:"gaps,omitempty"`
	// Published says what became of the pushes to the Hub.
	Published []events.PublishedCompleted `json:"published,omitempty"`
	// Export is the command that writes the tuned model to a folder; empty if
	// there is none.
	Export string `json:"export,omitempty"`
}

// Phase is one phase of a run.
type Phase struct {
	Phase           events.Phase       `json:"phase"`
	Status          events.Status      `json:"status"`
	Queue           string             `json:"queue,omitempty"`
	Engine          string             `json:"engine,omitempty"`
	Worker          string             `json:"worker,omitempty"`
	Attempts        int                `json:"attempts"`
	StartedAt       *time.Time         `json:"started_at,omitempty"`
	EndedAt         *time.Time         `json:"ended_at,omitempty"`
	DurationSeconds float64            `json:"duration_seconds,omitempty"`
	Statistics      map[string]float64 `json:"statistics,omitempty"`
	TokensIn        int64              `json:"tokens_in,omitempty"`
	TokensOut       int64              `json:"tokens_out,omitempty"`
	Artifacts       []events.Artifact  `json:"artifacts,omitempty"`
	Datasets        []events.Dataset   `json:"datasets,omitempty"`
	Notes           []string           `json:"notes,omitempty"`
	Error           *events.Problem    `json:"error,omitempty"`
	// AttemptResults has one entry for each attempt of a worker.
	AttemptResults []events.AttemptResult `json:"attempt_results,omitempty"`
}

// Of sums up the fold of the facts of a run. on are the flags of commands on the run that say
// where it is found.
func Of(run events.Run, on ...string) Summary {
	s := Summary{RunID: run.ID, Status: runsummary.StatusOf(run), Cancel: run.Cancel, Published: runsummary.Published(run)}
	if a := run.Accepted; a != nil {
		s.RunName, s.RequestedAt, s.Labels = a.RunName, timeOrNil(a.RequestedAt), a.Labels
		s.Plan, s.Inputs, s.Lineage = a.Plan, a.Inputs, a.Lineage
		for _, step := range a.Plan {
			s.Phases = append(s.Phases, phaseOf(run, step))
		}
	}
	if run.Rejected != nil {
		s.Faults = run.Rejected.Faults
		s.Lineage.RequestSequence = run.Rejected.RequestSequence
	}
	if p := run.Phases[events.Evaluation]; p != nil && p.Completed != nil {
		s.Scores, s.BaselineScores, s.Gates = p.Completed.Scores, p.Completed.BaselineScores, p.Completed.Gates
		s.Coverage, s.BaselineCoverage = p.Completed.Coverage, p.Completed.BaselineCoverage
	}
	if done := run.Completed; done != nil {
		s.Conclusion, s.DurationSeconds = done.Conclusion, done.DurationSeconds
		s.StartedAt, s.EndedAt = timeOrNil(done.StartedAt), timeOrNil(done.EndedAt)
		s.FailedPhases = done.FailedPhases
	}
	s.Gains = gains(s.Scores, s.BaselineScores)
	if runsummary.TunedModel(run) {
		s.Export = runsummary.ExportCommand(run, on...)
	}
	if run.Tracked != nil {
		s.Links, s.Gaps = run.Tracked.Links, run.Tracked.Gaps
	}
	return s
}

func phaseOf(run events.Run, step events.Step) Phase {
	p := run.Phases[step.Phase]
	s := Phase{Phase: step.Phase, Queue: step.Queue, Status: events.Status(runsummary.PhaseStatus(run, step.Phase))}
	if p == nil {
		return s
	}
	s.Attempts, s.AttemptResults = runsummary.Tries(p), runsummary.Results(p)
	for _, a := range s.AttemptResults {
		if a.Worker != "" {
			s.Engine, s.Worker = a.Engine, a.Worker
		}
	}
	done := p.Completed
	if done == nil {
		return s
	}
	s.StartedAt, s.EndedAt = timeOrNil(done.StartedAt), timeOrNil(done.EndedAt)
	if took, known := runsummary.Worked(p); known && s.StartedAt != nil && s.EndedAt != nil {
		s.DurationSeconds = took.Seconds()
	}
	s.Statistics, s.TokensIn, s.TokensOut = done.Statistics, done.TokensIn, done.TokensOut
	s.Datasets = done.Datasets
	s.Artifacts, s.Notes, s.Error = done.Artifacts, done.Notes, done.Error
	return s
}

// timeOrNil is nil for the zero time, so that JSON leaves it out.
func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// gains are the differences of the metrics that have both scores; nil if there
// are none.
func gains(scores, baseline map[string]float64) map[string]float64 {
	both := maps.Clone(scores)
	maps.DeleteFunc(both, func(name string, _ float64) bool { _, ok := baseline[name]; return !ok })
	for name := range both {
		both[name] -= baseline[name]
	}
	if len(both) == 0 {
		return nil
	}
	return both
}
