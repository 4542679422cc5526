package events

import (
	"fmt"
	"slices"
)

// Next derives the event that follows from a stored fact, or nil if none follows.
// run has the facts of the run that are known. The process that stored the fact
// publishes the event. A process that finds the fact later, because the first one
// died, publishes it too: both derive the same event, and the stream stores one.
//
//	pipeline.accepted                    → the first job of the plan
//	<phase>.completed, success, not last → the next job
//	<phase>.completed, success, last     → pipeline.completed, success
//	<phase>.completed, failure, continue → the next job, without this phase's artifacts
//	<phase>.completed, failure, stop     → pipeline.completed, failure
//	<phase>.completed, cancelled         → pipeline.completed, cancelled
//
// The plan is in pipeline.accepted, so run must have this fact, unless it is the
// fact itself. A fact that is not stored yet leads to the same event as the stored
// one, because Next applies [Bound] to both.
func Next(fact Fact, run Run) (Fact, error) {
	switch f := fact.(type) {
	case PipelineAccepted:
		if len(f.Plan) == 0 {
			return nil, fmt.Errorf("next of %s: the plan is empty", f.Subject())
		}
		return job(&f, f.Plan[0], f.Inputs), nil
	case PhaseCompleted:
		return afterPhase(f.bounded(), run)
	default:
		return nil, nil
	}
}

func afterPhase(f PhaseCompleted, run Run) (Fact, error) {
	if run.Accepted == nil {
		return nil, fmt.Errorf("next of %s: the run has no %s", f.Subject(), TypePipelineAccepted)
	}
	accepted := run.Accepted
	i := slices.IndexFunc(accepted.Plan, func(s Step) bool { return s.Phase == f.Phase })
	if i < 0 {
		return nil, fmt.Errorf("next of %s: the plan of run %s has no such phase", f.Subject(), f.RunID)
	}
	run = run.With(f)
	continues := f.Conclusion == Success ||
		f.Conclusion == Failure && accepted.Plan[i].OnFailure == Continue
	if continues && i+1 < len(accepted.Plan) {
		return job(accepted, accepted.Plan[i+1], run.inputs()), nil
	}
	return completion(run, f).bounded(), nil
}

func job(a *PipelineAccepted, s Step, in Inputs) PhaseRequested {
	return PhaseRequested{
		RunID:         a.RunID,
		RunName:       a.RunName,
		Phase:         s.Phase,
		Queue:         s.Queue,
		Specification: a.Specification,
		Plan:          a.Plan,
		Inputs:        in,
		RequestedAt:   a.RequestedAt,
	}
}

// completion returns the end of a run after its last phase. All times are from
// stored facts, so that every process derives the same bytes.
func completion(run Run, last PhaseCompleted) PipelineCompleted {
	done := PipelineCompleted{
		RunID:      last.RunID,
		Conclusion: last.Conclusion,
		StartedAt:  run.Accepted.RequestedAt,
		EndedAt:    last.EndedAt,
	}
	if last.Conclusion == Failure {
		if s, ok := run.step(last.Phase); ok && s.OnFailure == Continue {
			done.Conclusion = Success
		}
	}
	if done.StartedAt.IsZero() {
		done.StartedAt = last.StartedAt
	}
	done.DurationSeconds = done.EndedAt.Sub(done.StartedAt).Seconds()
	for _, s := range run.Accepted.Plan {
		p := run.Phases[s.Phase]
		if p == nil || p.Completed == nil {
			continue
		}
		c := *p.Completed
		done.Phases = append(done.Phases, PhaseResult{
			Phase:           s.Phase,
			Conclusion:      c.Conclusion,
			Attempts:        c.Attempt,
			Error:           c.Error,
			DurationSeconds: c.EndedAt.Sub(c.StartedAt).Seconds(),
		})
		if c.Conclusion == Failure && done.Conclusion == Success {
			done.FailedPhases = append(done.FailedPhases, s.Phase)
		}
		if len(c.Scores) > 0 {
			done.Scores, done.BaselineScores = c.Scores, c.BaselineScores
		}
		done.Gates = append(done.Gates, c.Gates...)
	}
	return done
}
