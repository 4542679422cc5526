package events_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tunebus/tunebus/events"
)

// identifiers are the texts that no event may hold in part. Their values are
// those of the product, or intake has checked them.
var identifiers = map[string]bool{
	"RunID": true, "Queue": true, "RerunOf": true, "Store": true, "MediaType": true, "SHA256": true, "Reference.Key": true,
}

// requested are what a request decides: intake rejects what is too large, and
// nobody cuts it.
var requested = map[string]bool{
	"Specification": true, "Plan": true, "Labels": true, "Inputs": true, "RunName": true, "Lineage": true,
}

// shortID is the longest run id.
var shortID = strings.Repeat("r", 64)

// overfill sets each text of a value to text and each list to n entries, and
// leaves what is decided elsewhere as it is.
func overfill(v reflect.Value, name, text string, n int) {
	switch v.Interface().(type) {
	case time.Time, json.RawMessage, events.Phase, events.Conclusion, events.OnFailure, events.EndReason, events.Product, events.PushOutcome:
		fill(v, name, string(events.Evaluation))
		return
	}
	if requested[name] {
		return
	}
	switch v.Kind() {
	case reflect.String:
		if identifiers[name] {
			text = shortID
		}
		v.SetString(text)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1<<62 + 1)
	case reflect.Uint64:
		v.SetUint(1<<63 + 1)
	case reflect.Float64:
		v.SetFloat(-1.2345678901234567e-300)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		overfill(v.Elem(), name, text, n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			overfill(v.Index(i), name, text, n)
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for i := range n {
			value := reflect.New(v.Type().Elem()).Elem()
			overfill(value, name, text, n)
			v.SetMapIndex(reflect.ValueOf(fmt.Sprint(i, text)), value)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			field := f.Name
			if v.Type() == reflect.TypeFor[events.Reference]() && field == "Key" {
				field = "Reference.Key"
			}
			overfill(v.Field(i), field, text, n)
		}
	}
}

// longTexts calls each for every text of a value that is longer than limit, or
// not valid UTF-8.
func longTexts(v reflect.Value, path string, limit int, each func(path string)) {
	switch v.Kind() {
	case reflect.String:
		if events.TextSize(v.String()) > limit || !utf8.ValidString(v.String()) {
			each(path)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			longTexts(v.Elem(), path, limit, each)
		}
	case reflect.Slice:
		for i := range v.Len() {
			longTexts(v.Index(i), fmt.Sprintf("%s[%d]", path, i), limit, each)
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			longTexts(it.Key(), path+" key", limit, each)
			longTexts(it.Value(), path+" value", limit, each)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			longTexts(v.Field(i), path+"."+v.Type().Field(i).Name, limit, each)
		}
	}
}

// texts are long in each of the ways in which JSON makes a text long.
func texts() map[string]string {
	return map[string]string{
		"escaped":    strings.Repeat("<", 9_000),
		"characters": strings.Repeat("é漢😀", 2_000),
		"control":    strings.Repeat("\x01\n\"\\", 2_000),
		"letters":    strings.Repeat("a", 20_000),
	}
}

// TestEveryEventIsBounded fills each field of each event beyond its bound.
func TestEveryEventIsBounded(t *testing.T) {
	t.Parallel()
	for _, typ := range events.Types() {
		if typ == events.TypePipelineRequested {
			continue // a request is rejected, never cut
		}
		if strings.HasPrefix(typ, "finetune.") || strings.HasPrefix(typ, "inference.") {
			continue // the same structs as those of evaluation
		}
		for name, text := range texts() {
			for _, n := range []int{3, 60, 700} {
				if n > 60 { // beyond the bounds of lists
					text = text[:1197]
				}
				v := reflect.New(reflect.TypeOf(events.New(typ))).Elem()
				overfill(v, "", text, n)
				setPhase(v, typ)
				ev := v.Interface().(events.Event)
				before := clone(t, ev)
				bounded := events.Bound(ev)
				body, err := json.Marshal(bounded)
				if err != nil {
					t.Fatal(err)
				}
				if len(body) > events.MaxEventBytes-2<<10 {
					t.Errorf("%s with %d entries of %s has %d bytes", typ, n, name, len(body))
				}
				longTexts(reflect.ValueOf(bounded), typ, events.MaxErrorBytes, func(path string) {
					t.Errorf("%s with %d entries of %s is not bounded", path, n, name)
				})
				if again := events.Bound(bounded); !reflect.DeepEqual(again, bounded) {
					t.Errorf("%s with %d entries of %s: bounded again it differs", typ, n, name)
				}
				if !reflect.DeepEqual(before, clone(t, ev)) {
					t.Errorf("%s with %d entries of %s: the event itself changed", typ, n, name)
				}
				if _, err := events.Decode(typ, "", body); err != nil {
					t.Errorf("%s with %d entries of %s: %v", typ, n, name, err)
				}
			}
		}
	}
}

func clone(t *testing.T, ev events.Event) any {
	t.Helper()
	body, err := json.Marshal(ev)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// setPhase makes an event one of its type's phase.
func setPhase(v reflect.Value, typ string) {
	phase, _, _ := strings.Cut(typ, ".")
	if f := v.FieldByName("Phase"); f.IsValid() {
		f.SetString(phase)
	}
	if f := v.FieldByName("What"); f.IsValid() {
		f.SetString(string(events.ProductModel))
	}
	if f := v.FieldByName("Queue"); f.IsValid() {
		f.SetString("q")
	}
}

// TestBoundSaysWhatIsLeftOut: a list that was cut ends with a note.
func TestBoundSaysWhatIsLeftOut(t *testing.T) {
	t.Parallel()
	done := events.PhaseCompleted{RunID: "r", Phase: events.Evaluation, Statistics: map[string]float64{}, Scores: map[string]float64{"a": 1}}
	for i := range 1300 {
		done.Statistics[fmt.Sprintf("s%04d", i)] = 1
		done.Notes = append(done.Notes, fmt.Sprint("note ", i))
	}
	got := events.Bound(done).(events.PhaseCompleted)
	last := got.Notes[len(got.Notes)-1]
	if want := "… 1,100 statistics and 1,251 notes were left out, because an event has no room for them"; last != want {
		t.Errorf("the last note is %q, want %q", last, want)
	}
	if len(got.Notes) != events.MaxNotes || len(got.Statistics) != events.MaxNumbers || got.Scores["a"] != 1 || got.Statistics["s0000"] != 1 {
		t.Errorf("%d notes, %d statistics, scores %v", len(got.Notes), len(got.Statistics), got.Scores)
	}
	small := events.PhaseCompleted{RunID: "r", Notes: done.Notes[:events.MaxNotes], Statistics: map[string]float64{"s": 1}}
	if got := events.Bound(small); !reflect.DeepEqual(got, small) {
		t.Errorf("an event within the bounds was changed: %+v", got)
	}

	many := events.PhaseCompleted{RunID: "r", Artifacts: make([]events.Artifact, events.MaxArtifacts+3)}
	many.Artifacts[events.MaxArtifacts].Name = "late"
	bounded := events.Bound(many).(events.PhaseCompleted)
	if want := []string{`3 of 27 artifacts are not kept, the first of them is "late"; a phase may have 24`}; !slices.Equal(bounded.Notes, want) {
		t.Errorf("the notes are %q, want %q", bounded.Notes, want)
	}
	if again := events.Bound(bounded); !reflect.DeepEqual(again, bounded) {
		t.Errorf("bounded again it is %+v", again)
	}

	tracked := events.Bound(events.TrackingCompleted{RunID: "r", Gaps: done.Notes}).(events.TrackingCompleted)
	if last := tracked.Gaps[len(tracked.Gaps)-1]; !strings.HasPrefix(last, "… 1,251 gaps were left out") {
		t.Errorf("the last gap is %q", last)
	}

	var faults []events.Fault
	for i := range 5000 {
		faults = append(faults, events.Fault{Key: fmt.Sprint("k", i), Message: "m"})
	}
	rejected := events.Bound(events.PipelineRejected{RequestSequence: 1, Faults: faults}).(events.PipelineRejected)
	if n := len(rejected.Faults); n != events.MaxFaults || rejected.Faults[n-1].Message != "… and 4,901 more faults" {
		t.Errorf("%d faults, the last is %+v", n, rejected.Faults[n-1])
	}
}

// TestBoundKeepsMissedGates: what decides the exit status stays.
func TestBoundKeepsMissedGates(t *testing.T) {
	t.Parallel()
	var gates []events.Gate
	for i := range 3 * events.MaxGates {
		gates = append(gates, events.Gate{Metric: fmt.Sprint("m", i), Met: i != 250})
	}
	got := events.Bound(events.PipelineCompleted{RunID: "r", Gates: gates}).(events.PipelineCompleted).Gates
	if len(got) != events.MaxGates || got[0].Metric != "m250" || got[1].Metric != "m0" || gates[0].Metric != "m0" {
		t.Errorf("%d gates, the first are %+v", len(got), got[:2])
	}
}

// TestNextOfALargeFact: the event that follows from a fact is the same before and
// after the fact is stored.
func TestNextOfALargeFact(t *testing.T) {
	t.Parallel()
	done := events.PhaseCompleted{
		RunID: "r", Phase: events.Evaluation, Conclusion: events.Failure,
		Scores: map[string]float64{}, Error: &events.Problem{Code: "c", Message: strings.Repeat("<", 5000)},
	}
	for i := range 1000 {
		done.Scores[fmt.Sprint(strings.Repeat("s", 190), i)] = 1
	}
	for range events.MaxArtifacts { // so that fewer scores fit into this event than into the next one
		done.Artifacts = append(done.Artifacts, events.Artifact{Name: "a", Reference: events.Reference{Key: strings.Repeat("k", 1000)}})
	}
	run := events.Fold([]events.Fact{events.PipelineAccepted{RunID: "r", Plan: []events.Step{{Phase: events.Evaluation, Queue: "q"}}}})
	fresh, err := events.Next(done, run)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := events.Next(events.Bound(done).(events.Fact), run)
	if err != nil || !reflect.DeepEqual(fresh, stored) || !reflect.DeepEqual(fresh, events.Bound(fresh)) {
		t.Errorf("the events differ, %v:\n%.300v\n%.300v", err, fresh, stored)
	}
}
