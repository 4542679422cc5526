package spec

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
)

// Limits are the largest values that an installation allows in a specification.
// They are a section of the settings; 0 means no limit.
type Limits struct {
	MaxTries   int           `json:"max_tries" default:"20" doc:"largest pipeline.max_tries of a run; 0: no limit"`
	MaxCrashes int           `json:"max_crashes" default:"20" doc:"largest pipeline.max_crashes of a run; 0: no limit"`
	Backoff    time.Duration `json:"backoff" default:"1h" doc:"largest pipeline.backoff of a run, and the longest wait between two tries; 0s: no limit"`
	Timeout    time.Duration `json:"timeout" default:"720h" doc:"largest timeout of a phase, which holds for a phase that names none, too; 0s: no limit"`
	Deadline   time.Duration `json:"deadline" default:"0s" doc:"largest pipeline.deadline of a run, which holds for a run that names none, too; 0s: no limit"`
}

// Apply sets the timeouts and the deadline that a specification leaves empty to
// their limits, and returns a fault for each value above its limit.
func (l Limits) Apply(s *events.Specification) []events.Fault {
	var faults []events.Fault
	exceeds := func(key, value, limit, allowed string) {
		faults = append(faults, events.Fault{
			Key:     key,
			Value:   value,
			Allowed: allowed,
			Message: "more than this installation allows (limits." + limit + ")",
		})
	}
	count := func(key string, n int, limit string, largest int) {
		if largest > 0 && n > largest {
			exceeds(key, fmt.Sprint(n), limit, fmt.Sprintf("1 to %d", largest))
		}
	}
	count("pipeline.max_tries", s.Pipeline.MaxTries, "max_tries", l.MaxTries)
	count("pipeline.max_crashes", s.Pipeline.MaxCrashes, "max_crashes", l.MaxCrashes)
	for key, text := range durations(s) {
		_, limit, _ := strings.Cut(key, ".")
		largest := map[string]time.Duration{"backoff": l.Backoff, "timeout": l.Timeout, "deadline": l.Deadline}[limit]
		d, err := time.ParseDuration(*text)
		switch {
		case largest <= 0:
		case err == nil && d > largest:
			exceeds(key, *text, limit, "up to "+shortDuration(largest))
		case *text == "" && limit != "backoff": // the worker has its own default for backoff
			*text = shortDuration(largest)
		}
	}
	return faults
}

// durations iterates over the keys of a specification with a duration as text.
func durations(s *events.Specification) iter.Seq2[string, *string] {
	return func(yield func(string, *string) bool) {
		_ = yield("fine_tuner.timeout", &s.FineTuner.Timeout) &&
			yield("inferencer.timeout", &s.Inferencer.Timeout) &&
			yield("evaluator.timeout", &s.Evaluator.Timeout) &&
			yield("pipeline.backoff", &s.Pipeline.Backoff) &&
			yield("pipeline.deadline", &s.Pipeline.Deadline)
	}
}

// shortDuration returns a duration without zero units: "36h", not "36h0m0s".
func shortDuration(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
