package archive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

func record(subject, typ, data string, sequence uint64) history.StoredFact {
	body := fmt.Sprintf(`{"specversion":"1.0","id":"%s/1","source":"tunebus/test","type":"%s","dataschema":"%s","datacontenttype":"application/json","data":%s}`,
		subject, typ, events.Schema(typ), data)
	m := codec.Message{ID: subject + "/1", Subject: subject, Stream: events.StreamFacts, Sequence: sequence, Time: time.Unix(1_700_000_000, 123)}
	return history.StoredFact{Message: m, Body: []byte(body)}
}

func records() []history.StoredFact {
	return []history.StoredFact{
		record("pipeline.accepted.r", events.TypePipelineAccepted, `{"run_id":"r","run_name":"<a> & \u2028","requested_at":"2026-01-02T03:04:05Z","specification":{},"plan":[]}`, 7),
		record("inference.started.r.2", "inference.started", `{"run_id":"r","phase":"inference","attempt":2,"worker":"w","of_a_newer_version":1}`, 9),
	}
}

// TestLines: archived facts are read back byte for byte, also fields that this
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

// validLine returns the line of a fact.
func validLine(t *testing.T) string {
	t.Helper()
	text, err := encode(records()[:1])
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func change(t *testing.T, text, old, replacement string) string {
	t.Helper()
	changed := strings.Replace(text, old, replacement, 1)
	if changed == text {
		t.Fatalf("%q is not in %s", old, text)
	}
	return changed
}

// TestInvalidLines: an archive has only complete facts of its run.
func TestInvalidLines(t *testing.T) {
	t.Parallel()
	valid := validLine(t)
	change := func(old, replacement string) string { return change(t, valid, old, replacement) }
	for name, text := range map[string]string{
		"empty line":    "\n",
		"no JSON":       "fact\n",
		"other run":     strings.ReplaceAll(valid, "accepted.r", "accepted.s"),
		"other subject": change("pipeline.accepted.r", "pipeline.completed.r"),
		"other id":      change(`"id":"pipeline.accepted.r/1"`, `"id":"x"`),
		"no sequence":   change(`"sequence":7`, `"sequence":0`),
		"no time":       change(`"time":"2023`, `"tame":"2023`),
		"no event":      change(`"specversion"`, `"specversoin"`),
		"no fact":       strings.ReplaceAll(valid, "accepted", "requested"),
	} {
		if facts, err := decode("r", strings.NewReader(text)); err == nil {
			t.Errorf("%s: read as %+v", name, facts)
		}
	}
}

// TestUndecodableFacts: a fact that can not be decoded is archived as it is, and
// decoded by a program that can. The facts of a newer program do not prevent
// reading the others.
func TestUndecodableFacts(t *testing.T) {
	t.Parallel()
	newer := record("pipeline.completed.r", events.TypePipelineCompleted, `{"run_id":"r"}`, 11)
	newer.Body = bytes.Replace(newer.Body, []byte(".v1.json"), []byte(".v2.json"), 1)
	newer.Unreadable = errors.New("a newer version")
	broken := history.StoredFact{Message: codec.Message{Subject: "pipeline.cancel_requested.r", Sequence: 12, Time: time.Unix(1, 0), Unreadable: errors.New("no JSON")}, Body: []byte("{\"\n\xff")}
	later := record("inference.completed.r", "inference.completed", `{"run_id":"r","phase":"inference"}`, 13) // this program can decode it
	later.Unreadable = errors.New("unreadable then")
	want := []history.StoredFact{newer, broken, later}
	text, err := encode(want)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decode("r", bytes.NewReader(text))
	if err != nil || len(got) != 3 {
		t.Fatalf("%+v, %v", got, err)
	}
	for i, w := range want {
		if g := got[i]; !bytes.Equal(g.Body, w.Body) || g.ID != w.ID || g.Sequence != w.Sequence || (g.Unreadable == nil) != (i == 2) {
			t.Errorf("%s came back as %+v\n%s", w.Subject, g.Message, g.Body)
		}
	}
	if _, newer := errors.AsType[*events.UnknownVersionError](got[0].Unreadable); !newer {
		t.Errorf("the newer fact: %v", got[0].Unreadable)
	}
	// A newer program, which can read it, archives the event itself.
	line := change(t, validLine(t), ".v1.json", ".v2.json")
	got, err = decode("r", strings.NewReader(line))
	if err != nil {
		t.Fatal(err)
	}
	if _, newer := errors.AsType[*events.UnknownVersionError](got[0].Unreadable); !newer {
		t.Errorf("a newer program's line: %+v", got)
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
	other[0].ID = "another"
	if got, err := merge(all, other); err == nil {
		t.Errorf("two facts on one subject are %+v", got)
	}
}

// FuzzDecode: facts that were read are the same after writing and reading them
// again.
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
			if f.Unreadable != nil {
				if back[i].Unreadable == nil || !bytes.Equal(back[i].Body, f.Body) || back[i].Subject != f.Subject {
					t.Fatalf("%q came back as %q", f.Body, back[i].Body)
				}
				continue
			}
			var want, have any
			if json.Unmarshal(f.Body, &want) != nil || json.Unmarshal(back[i].Body, &have) != nil || !reflect.DeepEqual(have, want) || back[i].Subject != f.Subject {
				t.Fatalf("%s came back as %s", f.Body, back[i].Body)
			}
		}
	})
}
