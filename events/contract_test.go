package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/events/internal/contract"
)

// update writes the golden file of an event that has none yet. One that is
// there is never written again: it is what somebody's stream holds.
var update = flag.Bool("update", false, "write missing golden files")

func TestGeneratedFilesAreNotStale(t *testing.T) {
	t.Parallel()
	schemas, err := contract.Schemas(".")
	if err != nil {
		t.Fatal(err)
	}
	same := func(path string, want []byte) {
		got, err := os.ReadFile(path)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is stale; run \"go generate\" in events (%v)", path, err)
		}
	}
	for name, body := range schemas {
		same(filepath.Join("schemas", name), body)
	}
	same("asyncapi.yaml", contract.AsyncAPI())
	files, err := os.ReadDir("schemas")
	if err != nil || len(files) != len(schemas) {
		t.Errorf("%d schemas are there, want %d (%v)", len(files), len(schemas), err)
	}
	for _, typ := range events.Types() {
		if body, err := events.JSONSchema(typ); err != nil || !json.Valid(body) {
			t.Errorf("schema of %s: %v", typ, err)
		}
	}
	if _, err := events.JSONSchema("../doc"); err == nil {
		t.Error("there is a schema of no event")
	}
}

func golden(typ string) string {
	return filepath.Join("testdata", "golden", contract.FileName(typ))
}

// TestGoldenEvents decodes one file for each event and version, for ever, and
// wants nothing of it to get lost.
func TestGoldenEvents(t *testing.T) {
	t.Parallel()
	for _, typ := range events.Types() {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			want, err := os.ReadFile(golden(typ))
			if errors.Is(err, os.ErrNotExist) && *update {
				want = write(t, typ)
			} else if err != nil {
				t.Fatal(err)
			}
			ev, err := events.Decode(typ, events.Schema(typ), want)
			if err != nil {
				t.Fatal(err)
			}
			if ev.Type() != typ {
				t.Errorf("it decodes as a %s", ev.Type())
			}
			if empty := emptyFields(reflect.ValueOf(ev), ""); len(empty) > 0 {
				t.Errorf("nothing is decoded into %v", empty)
			}
			got, err := json.MarshalIndent(ev, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(parsed(t, got), parsed(t, want)) {
				t.Errorf("decoded and written again:\n%s\nwant\n%s", got, want)
			}
			// A newer service may have added a field.
			more := append([]byte(`{"added_later": {"x": [1]},`), bytes.TrimSpace(want)[1:]...)
			if again, err := events.Decode(typ, "", more); err != nil || !reflect.DeepEqual(again, ev) {
				t.Errorf("with an unknown field: %v", err)
			}
			for _, broken := range []string{"", "[]", `"text"`, string(want[:len(want)/2]), strings.Replace(string(want), `"run_id": "`, `"run_id": "a.b`, 1)} {
				_, err := events.Decode(typ, "", []byte(broken))
				var malformed *events.MalformedError
				if !errors.As(err, &malformed) && !(typ == events.TypePipelineRequested || typ == events.TypePipelineRejected || isMetric(typ)) {
					t.Errorf("%.40q: %v, want a MalformedError", broken, err)
				}
			}
		})
	}
}

func isMetric(typ string) bool {
	return strings.HasSuffix(typ, "."+events.EventProgress) || strings.HasSuffix(typ, "."+events.EventTelemetry)
}

// TestNoGoldenFileIsOfNoEvent: an event may be given up, its files stay.
func TestNoGoldenFileIsOfNoEvent(t *testing.T) {
	t.Parallel()
	files, err := os.ReadDir(filepath.Join("testdata", "golden"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		typ, _, _ := strings.Cut(f.Name(), ".v")
		if !slices.Contains(events.Types(), typ) {
			t.Errorf("%s belongs to no event", f.Name())
		}
	}
}

func parsed(t *testing.T, body []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// write writes the golden file of an event with something in every field.
func write(t *testing.T, typ string) []byte {
	t.Helper()
	v := reflect.New(reflect.TypeOf(events.New(typ))).Elem()
	phase, _, _ := strings.Cut(typ, ".")
	fill(v, "", phase)
	body, err := json.MarshalIndent(v.Interface(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(golden(typ)), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(golden(typ), append(body, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	return body
}

// fill puts something recognisable into every field.
func fill(v reflect.Value, name, phase string) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.Date(2026, 1, 2, 3, 4, 5, 678000000, time.UTC)))
		return
	case json.RawMessage:
		v.SetBytes([]byte(`{"fine_tuner":{"epochs":2}}`))
		return
	case events.Phase:
		if !events.Phase(phase).Valid() {
			phase = string(events.Inference)
		}
		v.SetString(phase)
		return
	case events.Conclusion:
		v.SetString(string(events.Failure))
		return
	case events.OnFailure:
		v.SetString(string(events.Continue))
		return
	case events.EndReason:
		v.SetString(string(events.EndError))
		return
	case events.Switch:
		v.SetString("unsloth")
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(strings.ToLower(name) + "-1")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(3)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(0.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name, phase)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), name, phase)
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, name, phase)
		fill(value, name, phase)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			fill(v.Field(i), f.Name, phase)
			if allowed, ok := f.Tag.Lookup("allowed"); ok && f.Type.Kind() == reflect.String {
				choices := strings.Split(allowed, "|")
				v.Field(i).SetString(choices[len(choices)-1])
			}
		}
	}
}

// emptyFields are the paths of the fields that hold nothing.
func emptyFields(v reflect.Value, path string) []string {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return []string{path}
		}
		return emptyFields(v.Elem(), path)
	case reflect.Struct:
		if _, ok := v.Interface().(time.Time); ok {
			break
		}
		var out []string
		for i := range v.NumField() {
			out = append(out, emptyFields(v.Field(i), path+"."+v.Type().Field(i).Name)...)
		}
		return out
	case reflect.Slice, reflect.Map:
		if v.Len() == 0 {
			return []string{path}
		}
		return nil
	}
	if v.IsZero() {
		return []string{path}
	}
	return nil
}

func FuzzDecode(f *testing.F) {
	for _, typ := range events.Types() {
		body, err := os.ReadFile(golden(typ))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(typ, body)
	}
	f.Add("finetune.started", []byte(`{"run_id":"..","phase":"finetune","attempt":-1}`))
	f.Fuzz(func(t *testing.T, typ string, body []byte) {
		ev, err := events.Decode(typ, "", body)
		if err != nil {
			return
		}
		if ev.Type() != typ {
			t.Errorf("a %s decodes as a %s", typ, ev.Type())
		}
		if fact, ok := ev.(events.Fact); ok {
			address, err := events.ParseSubject(fact.Subject())
			if err != nil || address.Type != typ {
				t.Errorf("%q is no subject of a %s: %v", fact.Subject(), typ, err)
			}
		}
		if _, err := json.Marshal(ev); err != nil {
			t.Errorf("it cannot be written again: %v", err)
		}
	})
}
