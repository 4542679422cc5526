package events

import "time"

// How an attempt ended, besides the reasons of [AttemptEnded] and the
// conclusions of [PhaseCompleted].
const (
	// OutcomeRunning is an attempt that goes on, as far as is known.
	OutcomeRunning = "running"
	// OutcomeCrashed is an attempt of which nothing was heard before another
	// one held the job, most often since its process was killed.
	OutcomeCrashed = "crashed"
)

// AttemptResult is what is known of one attempt at a phase.
type AttemptResult struct {
	Phase  Phase  `json:"phase"`
	Number int    `json:"attempt"`
	Worker string `json:"worker,omitempty"`
	Engine string `json:"engine,omitempty"`
	// Outcome is one of the outcomes, reasons and conclusions.
	Outcome     string `json:"outcome"`
	ResumedFrom int64  `json:"resumed_from,omitempty"`
	// LastStep is known of an attempt that said why it ended.
	LastStep int64 `json:"last_step,omitempty"`
	// StartedAt and EndedAt are zero where nobody has said when.
	StartedAt time.Time `json:"started_at,omitzero"`
	EndedAt   time.Time `json:"ended_at,omitzero"`
	Error     *Problem  `json:"error,omitempty"`
}

// Results tells every attempt at the phase, by number.
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
			r.Phase, r.Outcome, r.LastStep, r.EndedAt, r.Error = e.Phase, string(e.Reason), e.LastStep, e.EndedAt, e.Error
		case c == nil && i == len(p.Attempts)-1:
			r.Outcome = OutcomeRunning
		}
		out = append(out, r)
	}
	return out
}

// Held reports whether an attempt may be working on the phase's job.
func (p *PhaseState) Held() bool {
	return p != nil && p.Completed == nil && len(p.Attempts) > 0 && p.Attempts[len(p.Attempts)-1].Ended == nil
}

// Began is when the phase's first attempt began; zero where nobody has said
// so.
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
