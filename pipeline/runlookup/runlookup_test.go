package runlookup_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/runlookup"
)

// listed are runs in a list, the newest last. Runs whose name is "broken" cannot be
// described.
type listed []runlookup.Run

func (l listed) IDs(context.Context) ([]string, error) {
	var ids []string
	for _, r := range l {
		ids = append(ids, r.ID)
	}
	return ids, nil
}

func (l listed) Describe(_ context.Context, ids []string) ([]runlookup.Run, error) {
	var out []runlookup.Run
	for _, r := range l {
		if slices.Contains(ids, r.ID) && r.Name != "broken" {
			out = append(out, r)
		}
	}
	return out, nil
}

func (l listed) Newest(context.Context) (runlookup.Run, error) {
	if len(l) == 0 {
		return runlookup.Run{}, nil
	}
	return l[len(l)-1], nil
}

// unavailable is a place that does not answer.
type unavailable struct{ err error }

func (u unavailable) IDs(context.Context) ([]string, error) { return nil, u.err }
func (u unavailable) Describe(context.Context, []string) ([]runlookup.Run, error) {
	return nil, u.err
}
func (u unavailable) Newest(context.Context) (runlookup.Run, error) { return runlookup.Run{}, u.err }

func day(d int) time.Time { return time.Date(2026, 3, d, 12, 0, 0, 0, time.UTC) }

var stream = listed{
	{ID: "a1", Name: "ships", At: day(1)},
	{ID: "a12", Name: "ships", At: day(2)},
	{ID: "b7", Name: "a1", At: day(3)},
	{ID: "c9", Name: "tides and moon", At: day(4)},
	{ID: "d1", Name: "broken", At: day(5)},
	{ID: "z10", Name: "tall", At: day(5)},
	{ID: "tall-2", Name: "oak", At: day(5)},
	{ID: "d2", Name: "harbour", At: day(6)},
}

var archived = listed{{ID: "z1", Name: "old"}, {ID: "z2", Name: "old"}, {ID: "b8", Name: "older"}}

func TestFind(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"a1":             "a1", // the id, although it is a beginning and a name too
		"a12":            "a12",
		"c":              "c9",
		"tides and moon": "c9",
		"harbour":        "d2",
		"last":           "d2",
		"older":          "b8",
		"z1":             "z1",  // an archived run, although the id of one in the stream begins with it
		"tall":           "z10", // a name, although the id of another run begins with it
		"unknown":        "unknown",
		"not a token!":   "not a token!",
		"":               "",
	} {
		got, err := runlookup.Find(t.Context(), text, stream, archived)
		if err != nil || got != want {
			t.Errorf("%q means %q (%v), want %q", text, got, err, want)
		}
	}
}

// TestFindSeveral: a text that fits several runs lists them, the newest first.
func TestFindSeveral(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"ships": {"a12", "a1"},
		"a":     {"a12", "a1"},
		"d":     {"d2", "d1"},
		"old":   {"z1", "z2"},
		"b":     {"b7", "b8"},        // an archived run counts as much
		"z":     {"z10", "z1", "z2"}, // and several of them
	} {
		_, err := runlookup.Find(t.Context(), text, stream, archived)
		several, ok := errors.AsType[*runlookup.AmbiguousError](err)
		if !ok {
			t.Errorf("%q: %v", text, err)
			continue
		}
		var ids []string
		for _, r := range several.Runs {
			ids = append(ids, r.ID)
			if !strings.Contains(err.Error(), r.ID) {
				t.Errorf("%q: the error does not name %s: %v", text, r.ID, err)
			}
		}
		if !slices.Equal(ids, want) {
			t.Errorf("%q: %q, want %q", text, ids, want)
		}
	}
	many := make(listed, 30)
	for i := range many {
		many[i] = runlookup.Run{ID: strings.Repeat("x", i+2), Name: "same", At: day(1)}
	}
	_, err := runlookup.Find(t.Context(), "same", many)
	if err == nil || !strings.Contains(err.Error(), "and 20 more") || strings.Count(err.Error(), "\n") > 11 {
		t.Errorf("many runs: %v", err)
	}
}

// TestFindIDNamedLast: a run whose id is "last" is that run, and without any run
// there is no last one.
func TestFindIDNamedLast(t *testing.T) {
	t.Parallel()
	if got, err := runlookup.Find(t.Context(), "last", listed{{ID: "last"}, {ID: "newer"}}); err != nil || got != "last" {
		t.Errorf("%q (%v)", got, err)
	}
	if _, err := runlookup.Find(t.Context(), "last", listed{}, listed{}); !errors.Is(err, runlookup.ErrNoRuns) {
		t.Errorf("%v, want ErrNoRuns", err)
	}
	if got, err := runlookup.Find(t.Context(), "last", listed{}, archived); err == nil {
		t.Errorf("the archive says nothing of the order of runs, but %q is its last", got)
	}
}

// named are runs of a place whose names count beside those of the first place.
type named struct{ listed }

func (n named) WithName(_ context.Context, name string, ids []string) (out []runlookup.Run, err error) {
	for _, r := range n.listed {
		if r.Name == name && slices.Contains(ids, r.ID) {
			out = append(out, r)
		}
	}
	return out, nil
}

// TestFindNameInTwoPlaces: a name that a run of the stream and an archived one share means
// neither alone; a rejected request of that name does not count.
func TestFindNameInTwoPlaces(t *testing.T) {
	t.Parallel()
	old := named{listed{{ID: "twin", Name: "harbour", At: day(2)}, {ID: "d2", Name: "harbour", At: day(6)}}}
	_, err := runlookup.Find(t.Context(), "harbour", stream, old)
	several, ok := errors.AsType[*runlookup.AmbiguousError](err)
	if !ok || len(several.Runs) != 2 || several.Runs[0].ID != "d2" || several.Runs[1].ID != "twin" {
		t.Errorf("%v", err)
	}
	if got, err := runlookup.Find(t.Context(), "harbour", stream, listed{}, listed{{ID: "refused", Name: "harbour"}}); err != nil || got != "d2" {
		t.Errorf("%q (%v)", got, err)
	}
	if got, err := runlookup.Find(t.Context(), "twin", stream, old); err != nil || got != "twin" {
		t.Errorf("by its id: %q (%v)", got, err)
	}
}

// TestFindPlaceUnavailable: an archive that can not be read concerns only texts
// that the stream does not know.
func TestFindPlaceUnavailable(t *testing.T) {
	t.Parallel()
	down := unavailable{errors.New("no store")}
	if got, err := runlookup.Find(t.Context(), "harbour", stream, down); err != nil || got != "d2" {
		t.Errorf("%q (%v)", got, err)
	}
	for _, text := range []string{"older", "z"} { // "z" may be the whole id of an archived run
		if got, err := runlookup.Find(t.Context(), text, stream, down); !errors.Is(err, down.err) {
			t.Errorf("%s: %q, %v, want the error of the archive", text, got, err)
		}
	}
}
