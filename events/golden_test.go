package events_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
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

// update writes the golden file of an event that has none, or the next edition of
// an event with new fields. An existing file is never written again, because a
// stream may have events like it.
var update = flag.Bool("update", false, "write missing golden files")

// editions returns the golden files of an event, the oldest first. A new field
// needs another edition of the same version, <type>.v1.2.json; the earlier
// editions remain.
func editions(typ string) []string {
	first := filepath.Join("testdata", "golden", contract.FileName(typ))
	files := []string{first}
	for n := 2; ; n++ {
		next := strings.TrimSuffix(first, ".json") + fmt.Sprintf(".%d.json", n)
		if _, err := os.Stat(next); err != nil {
			return files
		}
		files = append(files, next)
	}
}

// golden returns the newest edition, which has all fields.
func golden(typ string) string {
	files := editions(typ)
	return files[len(files)-1]
}

// TestGoldenEvents decodes the files of all events and versions and encodes them
// again without a loss.
func TestGoldenEvents(t *testing.T) {
	t.Parallel()
	for _, typ := range events.Types() {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			files, newest := editions(typ), golden(typ)
			for _, file := range files {
				checkRoundTrip(t, typ, file)
			}
			empty := missing(t, typ, newest)
			if len(empty) == 0 {
				return
			}
			if !*update {
				t.Errorf("%s has nothing in %v; -update writes the next edition", newest, empty)
				return
			}
			next := newest
			if _, err := os.Stat(newest); err == nil {
				next = strings.TrimSuffix(files[0], ".json") + fmt.Sprintf(".%d.json", len(files)+1)
			}
			write(t, typ, next)
			checkRoundTrip(t, typ, next)
		})
	}
}

// checkRoundTrip checks that an event can be decoded and encoded without a loss,
// also with fewer or more fields than this program knows.
func checkRoundTrip(t *testing.T, typ, file string) {
	t.Helper()
	want, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) && *update {
		return // it is written next
	}
	if err != nil {
		t.Fatal(err)
	}
	ev, err := events.Decode(typ, events.Schema(typ), want)
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	if ev.Type() != typ {
		t.Errorf("%s decodes as a %s", file, ev.Type())
	}
	got, err := json.MarshalIndent(ev, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if lost := lost(parsed(t, got), parsed(t, want), ""); len(lost) > 0 {
		t.Errorf("%s decoded and written again lost %v:\n%s", file, lost, got)
	}
	// A newer service may have added a field.
	more := append([]byte(`{"added_later": {"x": [1]},`), bytes.TrimSpace(want)[1:]...)
	if again, err := events.Decode(typ, "", more); err != nil || !reflect.DeepEqual(again, ev) {
		t.Errorf("%s with an unknown field: %v", file, err)
	}
	for _, broken := range []string{"", "[]", `"text"`, string(want[:len(want)/2]), strings.Replace(string(want), `"run_id": "`, `"run_id": "a.b`, 1)} {
		_, err := events.Decode(typ, "", []byte(broken))
		if _, malformed := errors.AsType[*events.MalformedError](err); !malformed && !(typ == events.TypePipelineRequested || typ == events.TypePipelineRejected || isMetric(typ)) {
			t.Errorf("%.40q: %v, want a MalformedError", broken, err)
		}
	}
}

// missing returns the fields that are empty in a golden file.
func missing(t *testing.T, typ, file string) []string {
	t.Helper()
	body, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return []string{"any field"}
	}
	if err != nil {
		t.Fatal(err)
	}
	ev, err := events.Decode(typ, "", body)
	if err != nil {
		t.Fatal(err)
	}
	return emptyFields(reflect.ValueOf(ev), "")
}

// lost returns the paths of values of want that got does not have.
func lost(got, want any, path string) []string {
	w, ok := want.(map[string]any)
	if !ok {
		if list, ok := want.([]any); ok {
			g, _ := got.([]any)
			if len(g) != len(list) {
				return []string{path}
			}
			var out []string
			for i := range list {
				out = append(out, lost(g[i], list[i], fmt.Sprintf("%s[%d]", path, i))...)
			}
			return out
		}
		if !reflect.DeepEqual(got, want) {
			return []string{path}
		}
		return nil
	}
	g, _ := got.(map[string]any)
	var out []string
	for key := range w {
		out = append(out, lost(g[key], w[key], path+"."+key)...)
	}
	return out
}

func isMetric(typ string) bool {
	return strings.HasSuffix(typ, "."+events.EventProgress) || strings.HasSuffix(typ, "."+events.EventTelemetry) || strings.HasSuffix(typ, "."+events.EventLog)
}

// TestEachGoldenFileHasAnEvent: an event with golden files can not be removed,
// because streams may contain it.
func TestEachGoldenFileHasAnEvent(t *testing.T) {
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

// write writes a golden file of an event with a value in each field.
func write(t *testing.T, typ, file string) {
	t.Helper()
	v := reflect.New(reflect.TypeOf(events.New(typ))).Elem()
	phase, _, _ := strings.Cut(typ, ".")
	fill(v, "", phase)
	body, err := json.MarshalIndent(v.Interface(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(body, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

// fill sets each field to a recognisable value.
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
	case events.Product:
		v.SetString(string(events.ProductModel))
		return
	case events.PushOutcome:
		v.SetString(string(events.Pushed))
		return
	case events.EndReason:
		v.SetString(string(events.EndError))
		return
	case events.Switch:
		v.SetString("unsloth")
		return
	case events.Arguments:
		v.SetString(`{"enable_thinking":false,"tags":["a"]}`)
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

// emptyFields returns the paths of the empty fields.
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
