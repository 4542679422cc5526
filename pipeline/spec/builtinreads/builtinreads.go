// Package builtinreads knows which trainings of other engines make a model that the
// built-in engine cannot read, so that a run is not accepted whose answers would fail
// behind its training.
package builtinreads

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// unread is a key of the section fine_tuner that makes such a model.
type unread struct {
	key   string
	isSet func(events.FineTuner) bool
	// full says that it does so where all weights are trained, too.
	full bool
}

// table has a line for each. What the built-in engine learns to read leaves it.
func table() []unread {
	return []unread{
		{"use_dora", func(f events.FineTuner) bool { return f.UseDoRA }, false},
		{"modules_to_save", func(f events.FineTuner) bool { return len(f.ModulesToSave) > 0 }, false},
		{"rank_pattern", func(f events.FineTuner) bool { return len(f.RankPattern) > 0 }, false},
		{"alpha_pattern", func(f events.FineTuner) bool { return len(f.AlphaPattern) > 0 }, false},
		{"bias", func(f events.FineTuner) bool { return !slices.Contains([]string{"", "none"}, f.Bias) }, false},
		{"is_multimodel", func(f events.FineTuner) bool { return f.IsMultimodel }, true},
	}
}

// Unread returns the keys of a section fine_tuner, such as "fine_tuner.use_dora", that
// make a model that the built-in engine cannot read.
func Unread(f events.FineTuner) (keys []string) {
	for _, u := range table() {
		if u.isSet(f) && (u.full || !f.FullFinetuning) {
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
