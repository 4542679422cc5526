// Package spec reads, checks and documents the specification of a run: the
// sections fine_tuner, inferencer, evaluator, mlflow and pipeline, whether
// they come from files and flags or from a bare request.
package spec

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Defaults is the specification in which nothing was said.
func Defaults() events.Specification {
	var s events.Specification
	structconf.SetDefaults(&s)
	return s
}

// Keys lists every key of a specification.
func Keys() []structconf.Key { return structconf.Keys(events.Specification{}) }

// Sections lists the sections of a specification.
func Sections() []string { return structconf.Sections(events.Specification{}) }

// Decode fills the defaults with what the tree says, and checks the result.
// Every fault is returned at once.
func Decode(t structconf.Tree) (events.Specification, structconf.Faults) { return over(Defaults(), t) }

func over(s events.Specification, t structconf.Tree) (events.Specification, structconf.Faults) {
	faults := structconf.Decode(&s, t)
	return s, t.Place(faults, check(s))
}

// FromJSON reads the specification of a request. Nothing is expanded in it:
// a "${" is a fault, since only the machine of the person who submits knows
// the variables meant.
func FromJSON(raw []byte) (events.Specification, []events.Fault) { return Over(Defaults(), raw) }

// Over reads the specification of a request that says only what changes in
// another one.
func Over(base events.Specification, raw []byte) (events.Specification, []events.Fault) {
	t, faults := structconf.ParseJSON(raw)
	s := base
	if len(faults) == 0 {
		faults = variables(t.Sections, "")
		var more structconf.Faults
		s, more = over(base, t)
		faults = append(faults, more...)
	}
	out := make([]events.Fault, len(faults))
	for i, f := range faults {
		out[i] = events.Fault{Key: f.Key, Value: f.Value, Allowed: f.Allowed, Message: f.Message}
	}
	return s, out
}

// Changed lists the keys, each section.key, in which two specifications
// differ.
func Changed(before, after events.Specification) []string {
	var keys []string
	was := structconf.Values(before)
	for i, is := range structconf.Values(after) {
		if is != was[i] {
			keys = append(keys, is.Section+"."+is.Name)
		}
	}
	return keys
}

// Value is the value of a key, section.key, as people write it.
func Value(s events.Specification, key string) string {
	for _, v := range structconf.Values(s) {
		if v.Section+"."+v.Name == key {
			return v.Text
		}
	}
	return ""
}

// variables finds the values with a "${" in them.
func variables(v any, path string) structconf.Faults {
	var faults structconf.Faults
	switch v := v.(type) {
	case string:
		if strings.Contains(v, "${") {
			faults = append(faults, structconf.Fault{Key: path, Message: `"${" is expanded where a person submits, not in a request`})
		}
	case map[string]any:
		for k, e := range v {
			faults = append(faults, variables(e, strings.TrimPrefix(path+"."+k, "."))...)
		}
	case []any:
		for i, e := range v {
			faults = append(faults, variables(e, fmt.Sprintf("%s[%d]", path, i))...)
		}
	}
	return faults
}

// Section is the section that configures a phase.
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
