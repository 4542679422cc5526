package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
)

func record(subject, typ, data string, sequence uint64) bus.Record {
	body := fmt.Sprintf(`{"specversion":"1.0","id":"%s/1","source":"tunebus/test","type":"%s","dataschema":"%s","datacontenttype":"application/json","data":%s}`,
		subject, typ, events.Schema(typ), data)
	m := bus.Message{ID: subject + "/1", Subject: subject, Stream: events.StreamFacts, Sequence: sequence, Time: time.Unix(1_700_000_000, 123)}
	return bus.Record{Message: m, Body: []byte(body)}
}

func records() []bus.Record {
	return []bus.Record{
		record("pipeline.accepted.r", events.TypePipelineAccepted, `{"run_id":"r","run_name":"<a> & \u2028","requested_at":"2026-01-02T03:04:05Z","specification":{},"plan":[]}`, 7),
		record("inference.started.r.2", "inference.started", `{"run_id":"r","phase":"inference","attempt":2,"worker":"w","of_a_newer_version":1}`, 9),
	}
}

// TestLines: what is archived is read back, byte for byte, also what this
// version does not know.
func TestLines(t *testing.T) {
	t.Parallel()
	text, err := encode(records())
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(text, []byte("\n")); n != 2 {
		t.Fatalf("%d lines:\n%s", n, text)
	}
	back, err := decode("r", bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range records() {
		got := back[i]
		if !bytes.Equal(got.Body, want.Body) || got.Sequence != want.Sequence || !got.Time.Equal(want.Time) || got.ID != want.ID || got.Subject != want.Subject {
			t.Errorf("%s came back as %+v\n%s", want.Subject, got, got.Body)
		}
	}
	if a, ok := back[0].Event.(events.PipelineAccepted); !ok || a.RunName != "<a> & \u2028" {
		t.Errorf("event %+v", back[0].Event)
	}
}

// TestLinesThatAreNoFacts: an archive holds whole facts of its run and
// nothing else.
func TestLinesThatAreNoFacts(t *testing.T) {
	t.Parallel()
	good, err := encode(records()[:1])
	if err != nil {
		t.Fatal(err)
	}
	change := func(old, replacement string) string {
		text := strings.Replace(string(good), old, replacement, 1)
		if text == string(good) {
			t.Fatalf("%q is not in %s", old, good)
		}
		return text
	}
	for name, text := range map[string]string{
		"empty line":    "\n",
		"no JSON":       "fact\n",
		"other run":     strings.ReplaceAll(string(good), "accepted.r", "accepted.s"),
		"other subject": change("pipeline.accepted.r", "pipeline.completed.r"),
		"other id":      change(`"id":"pipeline.accepted.r/1"`, `"id":"x"`),
		"no sequence":   change(`"sequence":7`, `"sequence":0`),
		"no time":       change(`"time":"2023`, `"tame":"2023`),
		"no event":      change(`"specversion"`, `"specversoin"`),
		"new version":   change(".v1.json", ".v2.json"),
		"no fact":       strings.ReplaceAll(string(good), "accepted", "requested"),
	} {
		if facts, err := decode("r", strings.NewReader(text)); err == nil {
			t.Errorf("%s: read as %+v", name, facts)
		}
	}
}

func TestMerge(t *testing.T) {
	t.Parallel()
	all := records()
	got, err := merge(all[1:2:2], all)
	if err != nil || !reflect.DeepEqual(got, all) {
		t.Errorf("%+v, %v", got, err)
	}
	other := records()[:1]
	other[0].ID = "somebody else's"
	if got, err := merge(all, other); err == nil {
		t.Errorf("two facts on one subject are %+v", got)
	}
}

// FuzzDecode: whatever is read as facts is written and read as the same.
func FuzzDecode(f *testing.F) {
	text, err := encode(records())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"subject":"pipeline.rejected.r"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		facts, err := decode("r", bytes.NewReader(text))
		if err != nil {
			return
		}
		again, err := encode(facts)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decode("r", bytes.NewReader(again))
		if err != nil || len(back) != len(facts) {
			t.Fatalf("%d facts came back as %d: %v", len(facts), len(back), err)
		}
		for i, f := range facts {
			var want, have any
			if json.Unmarshal(f.Body, &want) != nil || json.Unmarshal(back[i].Body, &have) != nil || !reflect.DeepEqual(have, want) || back[i].Subject != f.Subject {
				t.Fatalf("%s came back as %s", f.Body, back[i].Body)
			}
		}
	})
}
