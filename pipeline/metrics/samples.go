package metrics

import "github.com/tunebus/tunebus/events"

// Samples tells which samples of the machine count, of those of a phase in the stream's
// order. An attempt that lost its job may measure on for a moment, with the numbers that
// the next attempt gives its own samples. So a sample counts unless one of a later
// attempt was read before it. Whoever reads the stream goes by this rule: the history of
// the phase and MLflow would disagree otherwise. The zero value is ready to use.
type Samples struct {
	by int // the newest attempt
}

// Count reports whether an event counts. All but samples do.
func (s *Samples) Count(ev events.Event) bool {
	sample, ok := ev.(events.Telemetry)
	if !ok {
		return true
	}
	s.by = max(s.by, sample.Attempt)
	return sample.Attempt == s.by
}
