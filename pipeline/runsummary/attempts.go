package runsummary

import (
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/spec/builtinreads"
)

// Attempts lists the attempts of the phases that took at least so many of
// them, in the order of the plan.
func Attempts(run events.Run, atLeast int) []events.AttemptResult {
	if run.Accepted == nil {
		return nil
	}
	var all []events.AttemptResult
	for _, step := range run.Accepted.Plan {
		if results := Results(run.Phases[step.Phase]); len(results) >= atLeast {
			all = append(all, results...)
		}
	}
	return all
}

// Results are the attempts of a phase in which a worker worked: not the one with which intake
// ends a phase that was cancelled or given up.
func Results(p *events.PhaseState) []events.AttemptResult {
	return slices.DeleteFunc(p.Results(), func(a events.AttemptResult) bool { return a.Worker == events.IntakeWorker })
}

// Tries is how many attempts workers made at a phase.
func Tries(p *events.PhaseState) int { return len(Results(p)) }

// Worked is how long a phase that has ended was worked on, the waits between its attempts
// included. Of one that intake ended, that is the time of its attempts alone: it may have
// waited for long before it was cancelled or given up. known is false if no worker had it, or
// if nobody knows when the last one ended, since its process was killed.
func Worked(p *events.PhaseState) (took time.Duration, known bool) {
	attempts := Results(p)
	if len(p.Results()) == len(attempts) {
		return p.Completed.EndedAt.Sub(p.Completed.StartedAt), true
	}
	for _, a := range attempts {
		if !a.StartedAt.IsZero() && a.EndedAt.After(a.StartedAt) {
			took += a.EndedAt.Sub(a.StartedAt)
		}
	}
	return took, len(attempts) > 0 && !attempts[len(attempts)-1].EndedAt.IsZero()
}

// ofWorkers are the phases of a run that has ended, without the attempts with which intake
// ended them, and the time in which nobody worked.
func ofWorkers(run events.Run) []events.PhaseResult {
	phases := slices.Clone(run.Completed.Phases)
	for i, p := range phases {
		state := run.Phases[p.Phase]
		if byIntake := len(state.Results()) - Tries(state); byIntake > 0 {
			phases[i].Attempts -= byIntake
			phases[i].DurationSeconds = 0
			if took, known := Worked(state); known {
				phases[i].DurationSeconds = took.Seconds()
			}
		}
	}
	return phases
}

// PhaseStatus is the status of a phase for people. In a run that has ended, a phase without
// facts was not started, and one whose end cannot be read is not ended.
func PhaseStatus(run events.Run, p events.Phase) string {
	state := run.Phases[p]
	switch {
	case run.Completed == nil || state != nil && state.Completed != nil:
		return string(state.Status())
	case state == nil:
		return string(StatusNotStarted)
	default:
		return "not ended"
	}
}

// TunedModel reports whether the model that answered was a tuned one: this
// run tuned it, or took it from an older run.
func TunedModel(run events.Run) bool {
	if run.Accepted != nil && run.Accepted.Inputs.Model != nil {
		return true
	}
	return succeeded(run.Phases[events.Finetune])
}

// UnreadModel returns the keys of fine-tuning for which the built-in engine, and with it
// chat and a merged export, cannot read the model of a run; none: it can.
func UnreadModel(run events.Run) []string {
	if run.Accepted == nil || run.Accepted.Specification.FineTuner.Engine == spec.Builtin {
		return nil
	}
	return builtinreads.Unread(run.Accepted.Specification.FineTuner)
}

func succeeded(p *events.PhaseState) bool {
	return p != nil && p.Completed != nil && p.Completed.Conclusion == events.Success
}
