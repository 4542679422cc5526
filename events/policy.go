package events

import "time"

// Timeout returns the longest time of a phase over all its attempts; 0 means no
// limit.
func (s Specification) Timeout(p Phase) time.Duration {
	switch p {
	case Finetune:
		return duration(s.FineTuner.Timeout)
	case Inference:
		return duration(s.Inferencer.Timeout)
	default:
		return duration(s.Evaluator.Timeout)
	}
}

// FirstBackoff returns the delay before the second try; 0 means the default of the
// worker.
func (p Pipeline) FirstBackoff() time.Duration { return duration(p.Backoff) }

// Limit returns the time after which the run is cancelled; 0 means no limit.
func (p Pipeline) Limit() time.Duration { return duration(p.Deadline) }

// duration parses a duration. Intake has checked it, so an invalid one counts as
// none.
func duration(text string) time.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0
	}
	return max(d, 0)
}

// CancelHandlingTime is how long the worker that owns a job takes at most to
// complete the phase after a cancel. Intake waits longer than that before it
// takes the job over, so that a live worker ends its own phase.
const CancelHandlingTime = 800 * time.Millisecond
