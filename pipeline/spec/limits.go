package spec

import (
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
)

// Limits are what an installation allows a run to ask for. They are a section
// of the settings; 0 is no limit.
type Limits struct {
	MaxTries   int           `json:"max_tries" default:"20" doc:"largest pipeline.max_tries of a run; 0: no limit"`
	MaxCrashes int           `json:"max_crashes" default:"20" doc:"largest pipeline.max_crashes of a run; 0: no limit"`
	Backoff    time.Duration `json:"backoff" default:"1h" doc:"largest pipeline.backoff of a run, and the longest wait between two tries; 0s: no limit"`
	Timeout    time.Duration `json:"timeout" default:"720h" doc:"largest timeout of a phase, which holds for a phase that names none, too; 0s: no limit"`
	Deadline   time.Duration `json:"deadline" default:"0s" doc:"largest pipeline.deadline of a run, which holds for a run that names none, too; 0s: no limit"`
}

// Apply fills in the times that a specification leaves to the installation,
// and finds what it asks for beyond the limits.
func (l Limits) Apply(s *events.Specification) []events.Fault {
	var faults []events.Fault
	beyond := func(key, value, limit, allowed string) {
		faults = append(faults, events.Fault{Key: key, Value: value, Allowed: allowed, Message: "more than this installation allows (limits." + limit + ")"})
	}
	count := func(key string, n int, limit string, most int) {
		if most > 0 && n > most {
			beyond(key, fmt.Sprint(n), limit, fmt.Sprintf("1 to %d", most))
		}
	}
	count("pipeline.max_tries", s.Pipeline.MaxTries, "max_tries", l.MaxTries)
	count("pipeline.max_crashes", s.Pipeline.MaxCrashes, "max_crashes", l.MaxCrashes)
	for key, text := range durations(s) {
		_, limit, _ := strings.Cut(key, ".")
		most := map[string]time.Duration{"backoff": l.Backoff, "timeout": l.Timeout, "deadline": l.Deadline}[limit]
		d, err := time.ParseDuration(*text)
		switch {
		case most <= 0:
		case err == nil && d > most:
			beyond(key, *text, limit, "up to "+short(most))
		case *text == "" && limit != "backoff": // of which the worker has its own
			*text = short(most)
		}
	}
	return faults
}

// durations are the keys of a specification that hold a duration as text.
func durations(s *events.Specification) iter.Seq2[string, *string] {
	return func(yield func(string, *string) bool) {
		_ = yield("fine_tuner.timeout", &s.FineTuner.Timeout) &&
			yield("inferencer.timeout", &s.Inferencer.Timeout) &&
			yield("evaluator.timeout", &s.Evaluator.Timeout) &&
			yield("pipeline.backoff", &s.Pipeline.Backoff) &&
			yield("pipeline.deadline", &s.Pipeline.Deadline)
	}
}

// short is a duration as people write it: "36h", not "36h0m0s".
func short(d time.Duration) string {
	text := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zero) {
			text = text[:len(text)-2]
		}
	}
	return text
}
