package trainer_test

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestLogOfFailedAttempts: each attempt that failed leaves its log, also if a later one
// follows, and the completed phase names all of them.
func TestLogOfFailedAttempts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	done := h.Run(t, newEngine(script(t, "testdata/rude.py"), "RUDE=exit"), events.Finetune, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.Pipeline.MaxTries = 2
	})
	var names []string
	for _, a := range done.Artifacts {
		names = append(names, a.Name)
	}
	if want := []string{"trainer-1.log", "trainer-2.log"}; done.Conclusion != events.Failure || !slices.Equal(names, want) {
		t.Fatalf("it completed as %s with the artifacts %q, want %q", done.Conclusion, names, want)
	}
	for _, name := range names {
		log, err := h.Store.Get(t.Context(), h.Reference(t, done, name))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(log)
		if err != nil || !strings.Contains(string(body), "Traceback of the rude trainer") {
			t.Errorf("%s is %q, %v", name, body, err)
		}
		if err := log.Close(); err != nil {
			t.Error(err)
		}
	}
}
