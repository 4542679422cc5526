// Package spec reads and checks the specification of a run: the sections
// fine_tuner, inferencer, evaluator, mlflow and pipeline, from files, flags or the
// JSON of a request.
//
//	var req events.PipelineRequested
//	…
//	s, faults := spec.FromJSON(req.Specification)
//	…
//	plan := spec.Plan(s) // the phases to run
//
// All faults are returned at once, each with its key and the allowed values.
package spec

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Defaults returns the specification with the default of each key.
func Defaults() events.Specification {
	s := defaults()
	s.FineTuner.TargetModules, s.Evaluator.Metrics = slices.Clone(s.FineTuner.TargetModules), slices.Clone(s.Evaluator.Metrics)
	return s
}

// defaults is made once, because each request is read over it. The caller must not
// change what it refers to.
var defaults = sync.OnceValue(func() (s events.Specification) {
	structconf.SetDefaults(&s)
	return s
})

// Keys returns the keys of a specification.
func Keys() []structconf.Key { return structconf.Keys(events.Specification{}) }

// Sections returns the sections of a specification.
func Sections() []string { return structconf.Sections(events.Specification{}) }

// Decode sets the keys of the tree in the default specification and checks the
// result.
func Decode(t structconf.Tree) (events.Specification, structconf.Faults) {
	return decodeOver(Defaults(), t)
}

func decodeOver(s events.Specification, t structconf.Tree) (events.Specification, structconf.Faults) {
	told, shares := withWarmup(t)
	faults := structconf.Decode(&s, told)
	return s, told.Locate(faults, append(check(s), shares...))
}

// FromJSON reads the specification of a request. Variables are not expanded: "${"
// is a fault, because only the machine of the submitter has the variables.
func FromJSON(raw []byte) (events.Specification, []events.Fault) { return Over(Defaults(), raw) }

// Over reads the specification of a request that has only the changes of base.
func Over(base events.Specification, raw []byte) (events.Specification, []events.Fault) {
	t, faults := structconf.ParseJSON(raw)
	s := base
	if len(faults) == 0 {
		faults = unexpanded(t.Sections, "")
		var more structconf.Faults
		s, more = decodeOver(base, t)
		faults = append(faults, more...)
	}
	out := make([]events.Fault, len(faults))
	for i, f := range faults {
		out[i] = events.Fault{Key: f.Key, Value: f.Value, Allowed: f.Allowed, Message: f.Message}
	}
	return s, out
}

// Changed returns the keys, each section.key, in which two specifications differ.
func Changed(before, after events.Specification) []string {
	var keys []string
	old := structconf.Values(before)
	for i, v := range structconf.Values(after) {
		if v != old[i] {
			keys = append(keys, v.Section+"."+v.Name)
		}
	}
	return keys
}

// Value returns the value of a key, section.key, as a file has it.
func Value(s events.Specification, key string) string {
	for _, v := range structconf.Values(s) {
		if v.Section+"."+v.Name == key {
			return v.Text
		}
	}
	return ""
}

// Unexpanded is the fault of a text of a request that contains "${".
const Unexpanded = `"${" is expanded where a person submits, not in a request`

// unexpanded returns a fault for each value with "${".
func unexpanded(v any, path string) structconf.Faults {
	var faults structconf.Faults
	switch v := v.(type) {
	case string:
		if strings.Contains(v, "${") {
			faults = append(faults, structconf.Fault{Key: path, Message: Unexpanded})
		}
	case map[string]any:
		for k, e := range v {
			faults = append(faults, unexpanded(e, strings.TrimPrefix(path+"."+k, "."))...)
		}
	case []any:
		for i, e := range v {
			if len(faults) > maxFaults {
				break
			}
			faults = append(faults, unexpanded(e, fmt.Sprintf("%s[%d]", path, i))...)
		}
	}
	return faults
}

// Section returns the section that configures a phase.
func Section(p events.Phase) string {
	switch p {
	case events.Finetune:
		return "fine_tuner"
	case events.Inference:
		return "inferencer"
	default:
		return "evaluator"
	}
}
