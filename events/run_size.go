package events

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// sizedKey is a key of a request and the bytes that it takes as JSON.
type sizedKey struct {
	key  string
	size int
}

// SizeFaults returns the faults of a run whose events would be too large. It
// depends on RunName, Specification, Plan, Labels and Inputs. RunName is the name
// as it was asked for, and empty if it is going to be generated.
//
// Intake rejects a run with such a fault, and the command line finds the same
// faults before it sends a request.
func (e PipelineAccepted) SizeFaults() []Fault {
	var faults []Fault
	tooLarge := func(key string, size, limit int) {
		faults = append(faults, Fault{Key: key, Message: fmt.Sprintf("takes %s bytes as JSON, at most %s are allowed", Count(size), Count(limit))})
	}
	worst := "" // the key that is a fault already
	rest := jsonSize(e.Labels) + jsonSize(e.RunName) + jsonSize(e.Plan)
	if size := rest + e.Specification.size(MaxRunBytes-rest); size > MaxRunBytes {
		key := e.largestRepeated()
		worst = key.key
		faults = append(faults, Fault{Key: worst, Message: fmt.Sprintf(
			"takes %s bytes as JSON; specification, labels, run name and plan together take %s, at most %s are allowed",
			Count(key.size), Count(size), Count(MaxRunBytes))})
	}
	if size := TextSize(e.RunName); size > MaxNameBytes && worst != runNameKey {
		tooLarge(runNameKey, size, MaxNameBytes)
	}
	for _, name := range slices.Sorted(maps.Keys(e.Labels)) {
		if size := TextSize(name); size > MaxNameBytes {
			faults = append(faults, Fault{Key: labelKey(name), Message: fmt.Sprintf(
				"the label's name takes %s bytes as JSON, at most %s are allowed", Count(size), Count(MaxNameBytes))})
		}
		if size := TextSize(e.Labels[name]); size > MaxNoteBytes && worst != labelKey(name) {
			tooLarge(labelKey(name), size, MaxNoteBytes)
		}
	}
	if n := len(e.Specification.Evaluator.Gates); n > MaxGates {
		faults = append(faults, Fault{Key: "evaluator.gates", Message: fmt.Sprintf("has %s entries, at most %s are allowed", Count(n), Count(MaxGates))})
	}
	for _, name := range slices.Sorted(maps.Keys(e.Specification.Evaluator.Gates)) {
		if size := TextSize(name); size > MaxNameBytes {
			faults = append(faults, Fault{Key: "evaluator.gates." + name, Message: fmt.Sprintf(
				"the name takes %s bytes as JSON, at most %s are allowed", Count(size), Count(MaxNameBytes))})
		}
	}
	if size := jsonSize(e.Inputs); size > MaxInputBytes {
		key := largest(e.Inputs.keys())
		faults = append(faults, Fault{Key: key.key, Message: fmt.Sprintf(
			"takes %s bytes as JSON; the inputs together take %s, at most %s are allowed",
			Count(key.size), Count(size), Count(MaxInputBytes))})
	}
	return faults
}

// size returns the size of a specification as JSON. Of one that surely takes at most
// enough bytes it returns a larger number up to that, since encoding takes much longer
// than an estimate.
func (s *Specification) size(enough int) int {
	if estimate := largestSize(reflect.ValueOf(s).Elem()); estimate <= enough {
		return estimate
	}
	return jsonSize(s)
}

// largestSize returns the most bytes that a value may take as JSON, where a struct is
// one of this package.
func largestSize(v reflect.Value) int {
	const number, member = 32, 48 // a number, true or false; the name of a key, with its signs
	switch v.Kind() {
	case reflect.Struct:
		size := 2
		for i := range v.NumField() {
			size += member + largestSize(v.Field(i))
		}
		return size
	case reflect.String:
		return 2 + 6*v.Len()
	case reflect.Slice:
		size := 4
		for i := range v.Len() {
			size += 1 + largestSize(v.Index(i))
		}
		return size
	case reflect.Map:
		size := 4
		for key, value := range v.Seq2() {
			size += 2 + largestSize(key) + largestSize(value)
		}
		return size
	default:
		return number
	}
}

// The keys of a request, as faults name them.
const runNameKey = "run_name"

func labelKey(name string) string { return "labels." + name }

// largestRepeated returns the key that takes most of what the jobs of the run
// repeat. Many small labels count together.
func (e PipelineAccepted) largestRepeated() sizedKey {
	keys := []sizedKey{{runNameKey, jsonSize(e.RunName)}}
	for _, step := range e.Plan { // of a plan, only the queues may be long
		section := map[Phase]string{Finetune: "fine_tuner", Inference: "inferencer", Evaluation: "evaluator"}[step.Phase]
		keys = append(keys, sizedKey{section + ".queue", jsonSize(step.Queue)})
	}
	for _, section := range []struct {
		name  string
		value any
	}{
		{"fine_tuner", e.Specification.FineTuner},
		{"inferencer", e.Specification.Inferencer},
		{"evaluator", e.Specification.Evaluator},
		{"mlflow", e.Specification.MLflow},
		{"pipeline", e.Specification.Pipeline},
	} {
		for name, value := range objectOf(section.value) {
			keys = append(keys, sizedKey{section.name + "." + name, len(value)})
		}
	}
	all := sizedKey{"labels", jsonSize(e.Labels)}
	for name, value := range e.Labels {
		if size := TextSize(name) + jsonSize(value); size > all.size/2 {
			all = sizedKey{labelKey(name), size}
			break
		}
	}
	return largest(append(keys, all))
}

// Fit reports whether inputs are small enough for a request.
func (in Inputs) Fit() bool { return jsonSize(in) <= MaxInputBytes }

// keys returns the sizes of the inputs.
func (in Inputs) keys() []sizedKey {
	var keys []sizedKey
	for name, ref := range in.References() {
		keys = append(keys, sizedKey{name, TextSize(name) + jsonSize(ref)})
	}
	return keys
}

// largest returns the key that takes most. Of equal ones it is the first by name.
func largest(keys []sizedKey) sizedKey {
	return slices.MaxFunc(keys, func(a, b sizedKey) int {
		return cmp.Or(cmp.Compare(a.size, b.size), cmp.Compare(b.key, a.key))
	})
}

// objectOf returns the keys of a struct with their values as JSON.
func objectOf(v any) map[string]json.RawMessage {
	body, err := json.Marshal(v)
	if err != nil {
		return nil // it cannot be encoded into an event either, which reports the error
	}
	var out map[string]json.RawMessage
	if json.Unmarshal(body, &out) != nil {
		return nil
	}
	return out
}

func jsonSize(v any) int {
	body, err := json.Marshal(v)
	if err != nil {
		return 0
	}
	return len(body)
}
