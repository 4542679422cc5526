// Package builtinreads knows which trainings of other engines make a model that the
// built-in engine cannot read, so that a run is not accepted whose answers would fail
// behind its training.
package builtinreads

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// unread is a key of the section fine_tuner that makes such a model.
type unread struct {
	key   string
	isSet func(events.FineTuner) bool
}

// table has a line for each. What the built-in engine learns to read leaves it.
func table() []unread {
	return []unread{
		{"is_multimodel", func(f events.FineTuner) bool { return f.IsMultimodel }},
	}
}

// Unread returns the keys of a section fine_tuner, such as "fine_tuner.is_multimodel", that
// make a model that the built-in engine cannot read.
func Unread(f events.FineTuner) (keys []string) {
	for _, u := range table() {
		if u.isSet(f) {
			keys = append(keys, "fine_tuner."+u.key)
		}
	}
	return keys
}

// Faults returns what is wrong with the built-in engine of inference behind a training
// by another one.
func Faults(f events.FineTuner) structconf.Faults {
	keys := Unread(f)
	if len(keys) == 0 {
		return nil
	}
	return structconf.Faults{{
		Key: "inferencer.engine", Value: `"builtin"`,
		Message: fmt.Sprintf(`cannot read the model that %s makes; set inferencer.engine = "transformers"`, strings.Join(keys, " and ")),
	}}
}
