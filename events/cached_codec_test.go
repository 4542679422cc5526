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
			var d events.Codec
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
	var d events.Codec
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

// TestEncodeEqualsMarshal: a codec encodes each event of a run as json.Marshal does,
// whatever it knows of the run, and decodes it as one that knows nothing.
func TestEncodeEqualsMarshal(t *testing.T) {
	t.Parallel()
	// A codec has to know all members and their order.
	filled, whole := reflect.New(reflect.TypeFor[events.PhaseRequested]()).Elem(), reflect.New(reflect.TypeFor[events.PipelineAccepted]()).Elem()
	fill(filled, "", string(events.Finetune))
	fill(whole, "", "")
	all, start := filled.Interface().(events.PhaseRequested), whole.Interface().(events.PipelineAccepted)
	for _, s := range []*events.Specification{&all.Specification, &start.Specification} {
		s.FineTuner.ChatTemplateKwargs, s.Inferencer.ChatTemplateKwargs = "", "" // such a specification is not cached
	}
	plain := func(run string, epochs int) events.PhaseRequested {
		ev := job(t, run, epochs)
		ev.Specification.FineTuner.ChatTemplateKwargs, ev.Specification.Inferencer.ChatTemplateKwargs = "", ""
		return ev
	}
	same := func(change func(*events.Specification)) []events.Event {
		first := plain("r", 1)
		change(&first.Specification)
		accepted := events.PipelineAccepted{RunID: "r", RunName: "n", Specification: first.Specification, Plan: first.Plan}
		return []events.Event{accepted, first, first, plain("r", 2), plain("r", 2), plain("other", 3), first, accepted, first}
	}
	cases := map[string][]events.Event{
		"the same specification": same(func(*events.Specification) {}),
		"every member":           {start, all, start, all},
		"of another run":         {plain("a", 1), plain("b", 1), plain("a", 2), plain("b", 2), start},
		"no list of metrics":     same(func(s *events.Specification) { s.Evaluator.Metrics, s.FineTuner.TargetModules = nil, nil }),
		"an empty list":          same(func(s *events.Specification) { s.Evaluator.Metrics = []string{} }),
		"an empty table":         same(func(s *events.Specification) { s.Evaluator.Gates = map[string]float64{} }),
		"a table":                same(func(s *events.Specification) { s.Evaluator.Gates = map[string]float64{"b": 0.1, "a": 2} }),
		"arguments out of order": same(func(s *events.Specification) { s.FineTuner.ChatTemplateKwargs = `{"b":1,"a":2}` }),
		"no UTF-8":               same(func(s *events.Specification) { s.MLflow.RunName = "a\xffb" }),
		"escapes":                same(func(s *events.Specification) { s.MLflow.RunName = "<a href=\"{x}\">\u2028\\é" }),
		"a name with braces": {
			events.PipelineAccepted{RunID: "r", RunName: "{", Specification: all.Specification},
			events.PhaseRequested{RunID: "r", RunName: `{"specification":{}`, Phase: events.Finetune, Queue: "q", Specification: all.Specification},
		},
		"others": {events.PhaseStarted{RunID: "r", Phase: events.Finetune, Attempt: 1}, events.CancelRequested{RunID: "r"}},
	}
	for name, evs := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var c events.Codec
			for i, ev := range evs {
				want := written(t, ev)
				got, err := c.Encode(ev)
				if err != nil || string(got) != string(want) {
					t.Fatalf("event %d is encoded as\n%s, %v\nwant\n%s", i, got, err, want)
				}
				alone, err := events.Decode(ev.Type(), "", want)
				if err != nil {
					t.Fatal(err)
				}
				if read, err := c.Decode(ev.Type(), "", got); err != nil || !reflect.DeepEqual(read, alone) {
					t.Fatalf("event %d is decoded as\n%+v, %v\nwant\n%+v", i, read, err, alone)
				}
			}
		})
	}
}

// TestEncodeWritesEveryKey: a specification that another version wrote without some
// keys is passed on with all of them.
func TestEncodeWritesEveryKey(t *testing.T) {
	t.Parallel()
	c := events.Codec{Defaults: job(t, "r", 7).Specification}
	short := strings.Replace(string(written(t, job(t, "r", 7))), `"epochs":7,`, "", 1)
	if strings.Contains(short, `"epochs"`) {
		t.Fatal("the key is still there")
	}
	read, err := c.Decode("finetune.requested", "", []byte(short))
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		got, err := c.Encode(read)
		if want := written(t, job(t, "r", 7)); err != nil || string(got) != string(want) {
			t.Fatalf("encoded as\n%s, %v\nwant\n%s", got, err, want)
		}
		if _, err := c.Decode("finetune.requested", "", []byte(short)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestEncodeSharesNothing: changing an event that was encoded changes no later one.
func TestEncodeSharesNothing(t *testing.T) {
	t.Parallel()
	var c events.Codec
	plain := func() events.PhaseRequested {
		ev := job(t, "r", 1)
		ev.Specification.FineTuner.ChatTemplateKwargs, ev.Specification.Inferencer.ChatTemplateKwargs = "", ""
		return ev
	}
	body := written(t, plain())
	for range 3 {
		ev := plain()
		got, err := c.Encode(ev)
		if err != nil || string(got) != string(body) {
			t.Fatalf("encoded as\n%s, %v\nwant\n%s", got, err, body)
		}
		scribble(reflect.ValueOf(ev.Specification))
	}
	got, err := c.Decode("finetune.requested", "", body)
	if want := plain(); err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("decoded to %+v, %v\nwant %+v", got, err, want)
	}
}

// TestDecoderEvicts decodes more runs than the cache has entries.
func TestDecoderEvicts(t *testing.T) {
	t.Parallel()
	var d events.Codec
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
		var d events.Codec
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
	}{{"alone", events.Decode}, {"of a known run", new(events.Codec).Decode}} {
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
	ev.Specification.FineTuner.ChatTemplateKwargs, ev.Specification.Inferencer.ChatTemplateKwargs = "", ""
	for _, by := range []struct {
		name   string
		encode func(events.Event) ([]byte, error)
	}{{"alone", func(ev events.Event) ([]byte, error) { return json.Marshal(ev) }}, {"of a known run", new(events.Codec).Encode}} {
		b.Run(by.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := by.encode(ev); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
