package view_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// TestTogether: what is the same of several metrics is said once, and so is what the
// rows lack.
func TestTogether(t *testing.T) {
	t.Parallel()
	why := "8 of 40 rows have no score: the row has no ground truth (8 rows)"
	got := view.Together([]string{
		"predictions: of 40 rows 8 have no ground truth and 0 have no answer; they are not scored by the metrics that need it",
		"bleu_score: " + why, "another note", "rouge_score: " + why, "chrf: 1 of 40 rows has no score: no words (1 row)", "base model: bleu_score: " + why,
	})
	want := []string{"bleu_score, rouge_score, base model: bleu_score: " + why, "another note", "chrf: 1 of 40 rows has no score: no words (1 row)"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	alone := []string{"predictions: of 4 rows 1 have no ground truth and 0 have no answer; no metric needs it"}
	if got := view.Together(alone); !slices.Equal(got, alone) {
		t.Errorf("%q", got)
	}
}

// TestUnsaid: a sentence is said once, whoever says it.
func TestUnsaid(t *testing.T) {
	t.Parallel()
	c := view.NewConsole(io.Discard, io.Discard)
	c.Warnings([]string{"a"})
	if got := c.Unsaid("a", "b", "b"); !slices.Equal(got, []string{"b"}) {
		t.Errorf("%q", got)
	}
}

// TestAnother: a run that is shown before or behind another one hides nothing of that, and
// that nothing of it.
func TestAnother(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	c := view.NewConsole(io.Discard, &screen)
	ended := events.PhaseCompleted{Phase: events.Finetune, Notes: []string{"same note"}, Error: &events.Problem{Message: "same error"}}
	c.Warnings([]string{"same note", "mine"})
	back := view.Another(c)
	c.Fact(ended)
	c.Fact(ended)
	back()
	for range 2 {
		c.Fact(events.PhaseCompleted{Phase: events.Inference, Notes: []string{"same note", "mine", "later"}, Error: &events.Problem{Message: "same error"}})
	}
	for text, want := range map[string]int{"same note": 2, "mine": 1, "later": 1, "same error": 2} {
		if got := strings.Count(screen.String(), text); got != want {
			t.Errorf("%q is said %d times, want %d:\n%s", text, got, want, screen.String())
		}
	}
}

// TestSayWithoutSecrets: whatever is said, no secret of an address is shown.
func TestSayWithoutSecrets(t *testing.T) {
	t.Parallel()
	var screen bytes.Buffer
	c := view.NewConsole(io.Discard, &screen)
	c.Say("%s and %v at %s", "http://h/?token=hush", errors.New("s3://k:hush@b"), view.Sentence("nats://u:hush@h"))
	c.Notes(structconf.Faults{{Key: "k", Value: "https://u:hush@h/x", Message: "see http://h/?sig=hush"}})
	c.Warnings([]string{"https://u:hush@h is slow"})
	if text := screen.String(); strings.Contains(text, "hush") || strings.Count(text, "xxxxx") != 6 {
		t.Error(text)
	}
}
