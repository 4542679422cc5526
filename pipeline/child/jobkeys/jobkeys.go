// Package jobkeys has the keys of a section as a job file names them: every key with its
// value, also where an event leaves out one that is at its default.
package jobkeys

import (
	"reflect"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Training returns a job file with what the section fine_tuner says of a training. The
// rest of the job is the caller's.
func Training(f events.FineTuner) child.Job {
	job := child.Job{Keys: Of(f), Changed: []string{}, Seed: f.Seed}
	for _, v := range structconf.Changed(events.Specification{FineTuner: f}) {
		if v.Section == "fine_tuner" {
			job.Changed = append(job.Changed, v.Name)
		}
	}
	return job
}

// Of returns the keys of a section, a struct, by their names. A list and a table without
// entries are empty, not null.
func Of(section any) map[string]any {
	v := reflect.ValueOf(section)
	out := map[string]any{}
	for _, field := range reflect.VisibleFields(v.Type()) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous || !field.IsExported() || name == "" || name == "-" {
			continue
		}
		value := v.FieldByIndex(field.Index)
		switch kind := value.Kind(); {
		case kind == reflect.Slice && value.IsNil():
			out[name] = []any{}
		case kind == reflect.Map && value.IsNil():
			out[name] = map[string]any{}
		default:
			out[name] = value.Interface()
		}
	}
	return out
}
