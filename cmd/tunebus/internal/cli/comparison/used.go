package comparison

import (
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// replaced puts what a training used in the place of the keys that had no effect. A key of
// which both runs used the same is left out, whatever they asked for.
func replaced(runs [2]events.Run, sides [2]map[string]string) {
	keys := map[string]bool{}
	for _, run := range runs {
		for key := range run.Used() {
			keys[key] = true
		}
	}
	for key := range keys {
		var held [2]string
		for i, run := range runs {
			asked := spec.Value(run.Accepted.Specification, key)
			value, instead := run.Used()[key]
			if held[i] = asked; instead {
				held[i], sides[i][key] = value, fmt.Sprintf("%s (asked for %s)", value, asked)
			}
		}
		if held[0] == held[1] {
			delete(sides[0], key)
			delete(sides[1], key)
		}
	}
}
