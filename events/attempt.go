package events

import "time"

// Outcomes of an attempt, in addition to the reasons of [AttemptEnded] and the
// conclusions of [PhaseCompleted].
const (
	// OutcomeRunning is the outcome of an attempt that has not ended.
	OutcomeRunning = "running"
	// OutcomeCrashed is the outcome of an attempt that has no end although a later
	// attempt claimed the job. Most often its process was killed.
	OutcomeCrashed = "crashed"
)

// AttemptResult is the summary of an attempt at a phase.
type AttemptResult struct {
	Phase  Phase  `json:"phase"`
	Number int    `json:"attempt"`
	Worker string `json:"worker,omitempty"`
	Engine string `json:"engine,omitempty"`
	// Outcome is an outcome, a reason or a conclusion.
	Outcome     string `json:"outcome"`
	ResumedFrom int64  `json:"resumed_from,omitempty"`
	// LastStep is the last step; 0 if the attempt has no attempt_ended event.
	LastStep int64 `json:"last_step,omitempty"`
	// LostSteps is how many of its steps the next attempt has to make again, as far as its
	// end tells.
	LostSteps int64 `json:"lost_steps,omitempty"`
	// StartedAt and EndedAt are zero if they are unknown.
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Error     *Problem  `json:"error,omitempty"`
}

// Results returns the attempts at the phase, sorted by number.
func (p *PhaseState) Results() []AttemptResult {
	if p == nil {
		return nil
	}
	out := make([]AttemptResult, 0, len(p.Attempts))
	for i, a := range p.Attempts {
		r := AttemptResult{Number: a.Number, Outcome: OutcomeCrashed}
		if s := a.Started; s != nil {
			r.Phase, r.Worker, r.Engine, r.ResumedFrom, r.StartedAt = s.Phase, s.Worker, s.Engine, s.ResumedFrom, s.StartedAt
		}
		switch e, c := a.Ended, p.Completed; {
		case c != nil && c.Attempt == a.Number:
			r.Phase, r.Outcome, r.EndedAt, r.Error = c.Phase, string(c.Conclusion), c.EndedAt, c.Error
			if r.StartedAt.IsZero() {
				r.StartedAt = c.StartedAt
			}
		case e != nil:
			r.Phase, r.Outcome, r.LastStep, r.LostSteps, r.EndedAt, r.Error = e.Phase, string(e.Reason), e.LastStep, e.LostSteps, e.EndedAt, e.Error
		case c == nil && i == len(p.Attempts)-1:
			r.Outcome = OutcomeRunning
		}
		out = append(out, r)
	}
	return out
}

// IntakeWorker is the worker of an attempt with which intake ends a phase in the place of a
// worker. Nobody works in it.
const IntakeWorker = "intake"

// Claimed reports whether a worker may be working on the job of the phase.
func (p *PhaseState) Claimed() bool {
	return p != nil && p.Completed == nil && len(p.Attempts) > 0 && p.Attempts[len(p.Attempts)-1].Ended == nil
}

// Began returns the start of the first attempt, or the zero time if it is unknown.
func (p *PhaseState) Began() time.Time {
	if p == nil {
		return time.Time{}
	}
	for _, a := range p.Attempts {
		if a.Started != nil && !a.Started.StartedAt.IsZero() {
			return a.Started.StartedAt
		}
	}
	return time.Time{}
}
