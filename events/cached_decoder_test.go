package events_test

import (
	"encoding/json"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
)

// job returns a job of a run with a specification.
func job(t testing.TB, run string, epochs int) events.PhaseRequested {
	t.Helper()
	var s events.Specification
	body, err := os.ReadFile(golden("finetune.requested"))
	if err != nil {
		t.Fatal(err)
	}
	ev, err := events.Decode("finetune.requested", "", body)
	if err != nil {
		t.Fatal(err)
	}
	s = ev.(events.PhaseRequested).Specification
	s.FineTuner.Epochs = epochs
	return events.PhaseRequested{RunID: run, RunName: "n", Phase: events.Finetune, Queue: "q", Specification: s, Plan: []events.Step{{Phase: events.Finetune, Queue: "q"}}}
}

func written(t testing.TB, ev any) []byte {
	t.Helper()
	body, err := json.Marshal(ev)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// TestDecoderEqualsDecode: a decoder that has the run in its cache returns the same
// as Decode, for valid and invalid events.
func TestDecoderEqualsDecode(t *testing.T) {
	t.Parallel()
	first := job(t, "r", 1)
	accepted := events.PipelineAccepted{RunID: "r", RunName: "n", Specification: first.Specification, Plan: first.Plan}
	whole := string(written(t, first))
	raw := string(written(t, struct {
		S events.Specification `json:"specification"`
	}{first.Specification}))
	raw = raw[1 : len(raw)-1]
	cases := map[string]string{
		"the same run":                 whole,
		"another specification":        string(written(t, job(t, "r", 2))),
		"another run":                  string(written(t, job(t, "other", 3))),
		"spaces":                       strings.Replace(whole, `"queue":`, ` "queue" : `, 1),
		"other order":                  `{"queue":"q",` + raw + `,"run_id":"r","phase":"finetune"}`,
		"without a specification":      `{"run_id":"r","phase":"finetune","queue":"q"}`,
		"a later one":                  whole[:len(whole)-1] + `,"specification":{"fine_tuner":{"epochs":7}}}`,
		"a later one in capitals":      whole[:len(whole)-1] + `,"SPECIFICATION":{"fine_tuner":{"epochs":7}}}`,
		"an empty later one":           whole[:len(whole)-1] + `,"specification":{}}`,
		"one inside an unknown key":    `{"run_id":"r","more":{` + raw + `},"phase":"finetune","queue":"q"}`,
		"one inside a text":            `{"run_id":"r","run_name":` + strconv.Quote(raw) + `,"phase":"finetune","queue":"q"}`,
		"null":                         `{"run_id":"r","phase":"finetune","queue":"q","specification":null}`,
		"cut off":                      whole[:len(whole)-1],
		"cut off in it":                whole[:len(whole)/2],
		"text after the object":        whole + `{}`,
		"text after the specification": strings.Replace(whole, raw, raw+`x`, 1),
		"a run id that is none":        strings.Replace(whole, `"r"`, `"a.b"`, 1),
		"a run id that names another":  whole[:len(whole)-1] + `,"run_id":"s"}`,
		"another phase":                strings.Replace(whole, `"phase":"finetune"`, `"phase":"inference"`, 1),
	}
	for name, body := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var d events.Decoder
			if _, err := d.Decode(accepted.Type(), "", written(t, accepted)); err != nil {
				t.Fatal(err)
			}
			want, werr := events.Decode(first.Type(), "", []byte(body))
			for range 2 { // what it learned the first time must do no harm
				got, gerr := d.Decode(first.Type(), "", []byte(body))
				if !reflect.DeepEqual(got, want) || !reflect.DeepEqual(gerr, werr) {
					t.Errorf("decoded to %+v, %v\nwant %+v, %v", got, gerr, want, werr)
				}
			}
		})
	}
}

// TestDecoderSharesNothing: changing an event does not change another.
func TestDecoderSharesNothing(t *testing.T) {
	t.Parallel()
	var d events.Decoder
	body := written(t, job(t, "r", 1))
	for range 3 {
		got, err := d.Decode("finetune.requested", "", body)
		if err != nil {
			t.Fatal(err)
		}
		if want := job(t, "r", 1); !reflect.DeepEqual(got, want) {
			t.Fatalf("decoded to %+v\nwant %+v", got, want)
		}
		scribble(reflect.ValueOf(got.(events.PhaseRequested).Specification))
	}
}

// scribble changes everything that a value refers to.
func scribble(v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			scribble(v.Field(i))
		}
	case reflect.Slice:
		for i := range v.Len() {
			v.Index(i).SetZero()
		}
	case reflect.Map:
		v.Clear()
	case reflect.Pointer:
		v.Elem().SetZero()
	}
}

// TestDecoderEvicts decodes more runs than the cache has entries.
func TestDecoderEvicts(t *testing.T) {
	t.Parallel()
	var d events.Decoder
	for round := range 2 {
		for i := range 300 {
			want := job(t, "r"+strconv.Itoa(i), i)
			for range 2 {
				got, err := d.Decode(want.Type(), events.Schema(want.Type()), written(t, want))
				if err != nil || !reflect.DeepEqual(got, want) {
					t.Fatalf("round %d, run %d: %+v, %v", round, i, got, err)
				}
			}
		}
	}
}

func FuzzDecoder(f *testing.F) {
	known := written(f, job(f, "r", 1))
	f.Add(known)
	f.Add([]byte(`{"run_id":"r","phase":"finetune","queue":"q","specification":{}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var d events.Decoder
		if _, err := d.Decode("finetune.requested", "", known); err != nil {
			t.Fatal(err)
		}
		want, werr := events.Decode("finetune.requested", "", body)
		got, gerr := d.Decode("finetune.requested", "", body)
		if !reflect.DeepEqual(got, want) || (gerr == nil) != (werr == nil) {
			t.Errorf("decoded to %+v, %v\nwant %+v, %v", got, gerr, want, werr)
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	ev := job(b, "r", 1)
	body := written(b, ev)
	for _, by := range []struct {
		name   string
		decode func(typ, schema string, data []byte) (events.Event, error)
	}{{"alone", events.Decode}, {"of a known run", new(events.Decoder).Decode}} {
		b.Run(by.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := by.decode(ev.Type(), "", body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkEncode(b *testing.B) {
	ev := job(b, "r", 1)
	ev.Specification.MLflow.RunName = time.Now().String()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := json.Marshal(ev); err != nil {
			b.Fatal(err)
		}
	}
}
