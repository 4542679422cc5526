package events_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestSizeOfRuns: a run may take [events.MaxRunBytes] and no byte more, wherever they
// are.
func TestSizeOfRuns(t *testing.T) {
	t.Parallel()
	size := func(e events.PipelineAccepted) int {
		total := 0
		for _, v := range []any{e.Specification, e.Labels, e.RunName, e.Plan} {
			body, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			total += len(body)
		}
		return total
	}
	for i := range reflect.TypeFor[events.Specification]().NumField() {
		for j := range reflect.TypeFor[events.Specification]().Field(i).Type.NumField() {
			whole := reflect.New(reflect.TypeFor[events.PipelineAccepted]()).Elem()
			fill(whole, "", "")
			e := whole.Interface().(events.PipelineAccepted)
			field := reflect.ValueOf(&e.Specification).Elem().Field(i).Field(j)
			if field.Type() != reflect.TypeFor[string]() {
				continue
			}
			field.SetString("a") // some keys are not there where they are empty
			free := events.MaxRunBytes - size(e) + 1
			field.SetString(strings.Repeat("<", free/6) + strings.Repeat("a", free%6))
			if got := size(e); got != events.MaxRunBytes {
				t.Fatalf("the run takes %d bytes", got)
			}
			if faults := e.SizeFaults(); len(faults) > 0 {
				t.Errorf("section %d, key %d: %v", i, j, faults)
			}
			field.SetString(field.String() + "a")
			if faults := e.SizeFaults(); len(faults) != 1 {
				t.Errorf("section %d, key %d: one byte more has the faults %v", i, j, faults)
			}
		}
	}
}

// TestSizeOfLists: lists and tables count as well.
func TestSizeOfLists(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*events.Specification){
		"a list":      func(s *events.Specification) { s.Evaluator.Metrics = make([]string, events.MaxRunBytes/3) },
		"another one": func(s *events.Specification) { s.FineTuner.TargetModules = make([]string, events.MaxRunBytes/3) },
		"a table": func(s *events.Specification) {
			s.Evaluator.Gates = map[string]float64{}
			for i := range events.MaxGates {
				s.Evaluator.Gates[strings.Repeat("<", events.MaxNameBytes/6)+string(rune('0'+i))] = -1.2345678901234567e-300
			}
			s.MLflow.RunName = strings.Repeat("<", 1500)
		},
		"arguments": func(s *events.Specification) {
			s.FineTuner.ChatTemplateKwargs = events.Arguments(`{"a":"` + strings.Repeat("<", events.MaxRunBytes/6) + `"}`)
		},
	} {
		var e events.PipelineAccepted
		change(&e.Specification)
		if faults := e.SizeFaults(); len(faults) == 0 {
			t.Errorf("%s has no fault", name)
		}
	}
}
