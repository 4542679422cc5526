package events_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestArguments: a table is the same text for the same values, whole numbers and
// floating-point numbers stay apart, and its JSON reads back as itself.
func TestArguments(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		`{}`:                             `{}`,
		`null`:                           `{}`,
		`""`:                             `{}`,
		`{"b": 1, "a": [1.0, 2]}`:        `{"a":[1.0,2],"b":1}`,
		`{"a": null, "b": "null"}`:       `{"b":"null"}`,
		`"{\"enable_thinking\": false}"`: `{"enable_thinking":false}`,
		`{"t": {"z": "<", "y": 1e3}}`:    `{"t":{"y":1e3,"z":"\u003c"}}`,
		`{"n": 123456789012345678901234567890, "m":-0}`: `{"m":-0,"n":123456789012345678901234567890}`,
	} {
		var a, again events.Arguments
		if err := json.Unmarshal([]byte(given), &a); err != nil {
			t.Errorf("%s: %v", given, err)
			continue
		}
		body, err := json.Marshal(a)
		if err != nil || string(body) != want {
			t.Errorf("%s became %s (%v), want %s", given, body, err, want)
		}
		if err := json.Unmarshal(body, &again); err != nil || again != a {
			t.Errorf("%s read back as %q (%v)", body, again, err)
		}
	}
	for given, want := range map[string]string{
		`[1]`: "want a table", `7`: "want a table", `"x"`: "want a table", `"{} {}"`: "want a table",
		`{"a": [null]}`: "a: a list or a table in it holds null",
		`{"a": 1e999}`:  "a: the number 1e999 is too large",
		`{"a": ` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`: "a: more than 16 lists",
	} {
		var a events.Arguments
		if err := json.Unmarshal([]byte(given), &a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", given, err, want)
		}
	}
}

// TestArgumentEntries: the values come as Go has them, and changing them does not
// change the table.
func TestArgumentEntries(t *testing.T) {
	t.Parallel()
	a := events.Arguments(`{"a":[1.0,2,{"x":"y"}],"b":false,"c":1e3}`)
	want := map[string]any{"a": []any{1.0, int64(2), map[string]any{"x": "y"}}, "b": false, "c": 1000.0}
	got := a.Entries()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %#v", got)
	}
	delete(got, "a")
	if !reflect.DeepEqual(a.Entries(), want) {
		t.Errorf("changed to %#v", a.Entries())
	}
	if got := events.Arguments("").Entries(); got == nil || len(got) > 0 {
		t.Errorf("no entries are %#v", got)
	}
}

// FuzzArguments: whatever is read is written as JSON that reads back as itself.
func FuzzArguments(f *testing.F) {
	for _, seed := range []string{`{}`, `{"a":1.0}`, `"{\"a\":[]}"`, `{"a":{"b":null}}`, `{"a":1e400}`, `{"":"\u2028"}`, `{"a":1}{`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var a, again events.Arguments
		if json.Unmarshal(body, &a) != nil {
			return
		}
		out, err := json.Marshal(a)
		if err != nil {
			t.Fatalf("%q: %v", a, err)
		}
		if err := json.Unmarshal(out, &again); err != nil || again != a {
			t.Errorf("%s became %q, then %q (%v)", body, a, again, err)
		}
		a.Entries()
	})
}
