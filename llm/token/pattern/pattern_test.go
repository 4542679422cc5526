package pattern_test

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token/pattern"
)

// reference is what testdata/patterns.py made with the library "tokenizers".
type reference struct {
	Refused  []string
	Patterns []struct {
		Pattern string
		Cuts    []struct {
			Text   string
			Pieces []string
		}
	}
}

func read(t testing.TB) reference {
	t.Helper()
	body, err := os.ReadFile("testdata/patterns.json")
	if err != nil {
		t.Fatal(err)
	}
	var all reference
	if err := json.Unmarshal(body, &all); err != nil {
		t.Fatal(err)
	}
	return all
}

// TestSplitsAreThoseOfTheLibrary: each text is cut where the library cuts it.
func TestSplitsAreThoseOfTheLibrary(t *testing.T) {
	t.Parallel()
	all := read(t)
	if len(all.Patterns) < 40 {
		t.Fatalf("%d patterns", len(all.Patterns))
	}
	for _, p := range all.Patterns {
		s, err := pattern.New(p.Pattern)
		if err != nil {
			t.Errorf("%s: %v", p.Pattern, err)
			continue
		}
		for _, c := range p.Cuts {
			var got []string
			from := 0
			for _, to := range s.Split(c.Text, 0, nil) {
				got, from = append(got, c.Text[from:to]), to
			}
			if !slices.Equal(got, c.Pieces) {
				t.Errorf("%s: %q is cut into %q, want %q", p.Pattern, c.Text, got, c.Pieces)
			}
		}
	}
}

// TestRefused: what Go's expressions cannot say is named, and never read as something
// else.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, expr := range read(t).Refused {
		_, err := pattern.New(expr)
		fault, ok := errors.AsType[*pattern.UnsupportedError](err)
		if !ok || fault.What == "" || fault.Part == "" {
			t.Errorf("%s: %v", expr, err)
		}
	}
	for expr, what := range map[string]string{
		`(?<=\d)a`: "a look behind", `a(?!b)`: "a look ahead", `(?>a)`: "an atomic group", `(a)\1`: "a reference to a group", `^a`: "an anchor",
		`[a[b]]`: "a class inside of a class", `[a&&[b]]`: "an intersection", `a++a`: "a possessive repetition",
	} {
		if _, err := pattern.New(expr); err == nil || !strings.HasPrefix(err.Error(), what) {
			t.Errorf("%s: %v, want %s", expr, err, what)
		}
	}
}

// FuzzNew: whatever a tokenizer.json has for a pattern, it is read or refused, and a
// text is cut without losing any of it.
func FuzzNew(f *testing.F) {
	all := read(f)
	for _, p := range all.Patterns {
		f.Add(p.Pattern, "The ferry  leaves\nat 9.")
	}
	for _, expr := range all.Refused {
		f.Add(expr, "a b")
	}
	f.Fuzz(func(t *testing.T, expr, text string) {
		s, err := pattern.New(expr)
		if err != nil {
			return
		}
		ends := s.Split(text, 0, nil)
		if !slices.IsSorted(ends) || text != "" && (len(ends) == 0 || ends[len(ends)-1] != len(text)) {
			t.Errorf("%q cuts %q at %v", expr, text, ends)
		}
	})
}
