package events

import "time"

// Timeout is how long a phase may take over all its attempts; 0: for ever.
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

// FirstBackoff is the wait before the second try; 0: the worker's own.
func (p Pipeline) FirstBackoff() time.Duration { return duration(p.Backoff) }

// Limit is how long the run may take before it is cancelled; 0: for ever.
func (p Pipeline) Limit() time.Duration { return duration(p.Deadline) }

// duration reads what intake has checked; anything else is none.
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
