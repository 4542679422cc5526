package events

import (
	"maps"
	"slices"
)

// Status is the state of a run or a phase.
type Status string

// The statuses before the end. After it the status is the [Conclusion].
const (
	StatusUnknown Status = "unknown"
	StatusWaiting Status = "waiting"
	StatusQueued  Status = "queued"
	StatusRunning Status = "running"
)

// The statuses of what is no run any more, or never was one.
const (
	StatusRejected Status = "rejected"
	StatusDeleted  Status = "deleted"
)

// Run is the state of a run: the fold of its facts.
type Run struct {
	ID        string
	Accepted  *PipelineAccepted
	Rejected  *PipelineRejected
	Cancel    *CancelRequested
	Completed *PipelineCompleted
	Tracked   *TrackingCompleted
	// Published has the newest push of each product to the Hub.
	Published map[Product]PublishedCompleted
	// Deleted is set once a person removes the run, also while some of it is still
	// there.
	Deleted *PipelineDeleted
	// Phases has an entry for each phase with at least one fact.
	Phases map[Phase]*PhaseState
}

// PhaseState is the state of one phase of a run.
type PhaseState struct {
	Requested *PhaseRequested
	// Attempts is sorted by number.
	Attempts  []Attempt
	Completed *PhaseCompleted
}

// Attempt is an attempt at a phase.
type Attempt struct {
	Number  int
	Started *PhaseStarted
	Ended   *AttemptEnded
}

// Fold computes the state of a run from its facts. The order and duplicates have
// no effect: a stream has one fact for each subject, so two facts with the same
// subject are equal. The first fact determines the run; facts of other runs are
// ignored. Of a deleted run nothing but the deletion and its tracking is in the
// state, whichever of its facts are still there, so that nobody takes what is left of
// it for a run.
func Fold(facts []Fact) Run {
	var run Run
	for _, f := range facts {
		run.add(f)
	}
	if run.Deleted != nil {
		return Run{ID: run.ID, Deleted: run.Deleted, Tracked: run.Tracked}
	}
	return run
}

// UnknownBefore returns the phases of the plan before p of whose end the run has no
// fact. A phase is only requested when those before it have ended, so such a run
// was not read to its newest fact.
func (r Run) UnknownBefore(p Phase) []Phase {
	if r.Accepted == nil {
		return nil
	}
	var unknown []Phase
	for _, s := range r.Accepted.Plan {
		if s.Phase == p {
			return unknown
		}
		if state := r.Phases[s.Phase]; state == nil || state.Completed == nil {
			unknown = append(unknown, s.Phase)
		}
	}
	return nil // the plan has no such phase
}

// With returns a copy of the run with one more fact.
func (r Run) With(f Fact) Run {
	r.Phases, r.Published = maps.Clone(r.Phases), maps.Clone(r.Published)
	for p, state := range r.Phases {
		copied := *state
		copied.Attempts = slices.Clone(state.Attempts)
		r.Phases[p] = &copied
	}
	r.add(f)
	return r
}

// add adds a fact.
func (r *Run) add(f Fact) {
	if r.ID == "" {
		r.ID = f.Run()
	}
	if f.Run() != r.ID {
		return
	}
	switch f := f.(type) {
	case PipelineAccepted:
		r.Accepted = &f
	case PipelineRejected:
		r.Rejected = &f
	case CancelRequested:
		r.Cancel = &f
	case PipelineCompleted:
		r.Completed = &f
	case TrackingCompleted:
		r.Tracked = &f
	case PublishedCompleted:
		r.addPublished(f)
	case PipelineDeleted:
		r.Deleted = &f
	case PhaseRequested:
		r.phase(f.Phase).Requested = &f
	case PhaseStarted:
		r.phase(f.Phase).attempt(f.Attempt).Started = &f
	case AttemptEnded:
		r.phase(f.Phase).attempt(f.Attempt).Ended = &f
	case PhaseCompleted:
		r.phase(f.Phase).Completed = &f
	}
}

// phase returns the state of a phase, and creates it if necessary.
func (r *Run) phase(p Phase) *PhaseState {
	state := r.Phases[p]
	if state == nil {
		if r.Phases == nil {
			r.Phases = make(map[Phase]*PhaseState, 3)
		}
		state = &PhaseState{}
		r.Phases[p] = state
	}
	return state
}

// attempt returns the entry of attempt n, and inserts it if necessary.
func (p *PhaseState) attempt(n int) *Attempt {
	at, ok := slices.BinarySearchFunc(p.Attempts, n, func(a Attempt, n int) int { return a.Number - n })
	if !ok {
		p.Attempts = slices.Insert(p.Attempts, at, Attempt{Number: n})
	}
	return &p.Attempts[at]
}

// NextAttempt returns the number of the next attempt: the highest one plus 1.
func (p *PhaseState) NextAttempt() int {
	if p == nil || len(p.Attempts) == 0 {
		return 1
	}
	return p.Attempts[len(p.Attempts)-1].Number + 1
}

// With returns a copy of the state with one more attempt, such as one that is not
// stored yet. An attempt of the same number is replaced.
func (p *PhaseState) With(a Attempt) *PhaseState {
	var out PhaseState
	if p != nil {
		out = *p
		out.Attempts = slices.Clone(p.Attempts)
	}
	*out.attempt(a.Number) = a
	return &out
}

// Tries returns the number of attempts that ended with an error.
func (p *PhaseState) Tries() int {
	return p.count(func(a Attempt) bool { return a.Ended != nil && a.Ended.Reason == EndError })
}

// Crashes returns the number of attempts that did not end by themselves: those
// that started and never ended, except the one that completed the phase, and
// those that stalled.
func (p *PhaseState) Crashes() int {
	return p.count(func(a Attempt) bool {
		return a.Stalled() || a.Ended == nil && (p.Completed == nil || p.Completed.Attempt != a.Number)
	})
}

// Stalled reports whether the attempt was ended since it made no progress.
func (a Attempt) Stalled() bool {
	return a.Ended != nil && a.Ended.Reason == EndLost && a.Ended.Error != nil && a.Ended.Error.Code == CodeStalled
}

func (p *PhaseState) count(matches func(Attempt) bool) int {
	if p == nil {
		return 0
	}
	n := 0
	for _, a := range p.Attempts {
		if matches(a) {
			n++
		}
	}
	return n
}

// Status returns the state of the phase.
func (p *PhaseState) Status() Status {
	switch {
	case p == nil:
		return StatusWaiting
	case p.Completed != nil:
		return Status(p.Completed.Conclusion)
	case p.Claimed():
		return StatusRunning
	default:
		return StatusQueued
	}
}

// Status returns the state of the run.
func (r Run) Status() Status {
	switch {
	case r.Deleted != nil:
		return StatusDeleted
	case r.Completed != nil:
		return Status(r.Completed.Conclusion)
	case r.Rejected != nil:
		return StatusRejected
	case r.Accepted == nil:
		return StatusUnknown
	}
	for _, p := range r.Phases {
		if len(p.Attempts) > 0 {
			return StatusRunning
		}
	}
	return StatusQueued
}

// step returns the step of a phase in the plan.
func (r Run) step(p Phase) (Step, bool) {
	for _, s := range r.Accepted.Plan {
		if s.Phase == p {
			return s, true
		}
	}
	return Step{}, false
}

// InputsOf returns the inputs of a phase: those of its job or, if it has none, the
// inputs of the run and the results of the completed phases.
func (r Run) InputsOf(p Phase) Inputs {
	if r.Accepted == nil {
		return Inputs{}
	}
	if s := r.Phases[p]; s != nil && s.Requested != nil {
		return s.Requested.Inputs
	}
	return r.inputs()
}

// inputs returns the inputs of the next job: the inputs of the run, replaced by the
// results of its phases.
func (r Run) inputs() Inputs {
	in := r.Accepted.Inputs
	for _, s := range r.Accepted.Plan {
		p := r.Phases[s.Phase]
		if p == nil || p.Completed == nil || p.Completed.Conclusion != Success {
			continue
		}
		for _, a := range p.Completed.Artifacts {
			ref := a.Reference
			switch a.Name {
			case ArtifactModel:
				in.Model = &ref
			case ArtifactPredictions:
				in.Predictions = &ref
			case ArtifactBaselinePredictions:
				in.BaselinePredictions = &ref
			}
		}
	}
	return in
}

// The artifacts that are inputs of later phases.
const (
	ArtifactModel               = "model"
	ArtifactPredictions         = "predictions"
	ArtifactBaselinePredictions = "baseline_predictions"
)

// The artifacts that the tracker reads.
const (
	// ArtifactMetrics is the metric history of a phase: one [Point] as JSON a
	// line.
	ArtifactMetrics = "metrics"
	// ArtifactScores holds the scores of an evaluation: one row as JSON a
	// line.
	ArtifactScores = "scores"
)

// SystemMetricPrefix precedes the keys of the points of [Telemetry] in a metric
// history and in MLflow.
const SystemMetricPrefix = "system/"

// Used are the values that the training of a run used in place of those of its
// specification.
func (r Run) Used() map[string]string {
	if state := r.Phases[Finetune]; state != nil && state.Completed != nil {
		return state.Completed.Used
	}
	return nil
}
