package conversation

import (
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/llm/token"
)

// partner is the quickstart's base model.
func partner(t *testing.T, o Options) *Partner {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	o.Generate = generation.Prompt{MaxNewTokens: 8}
	p, err := Open("base", Folders{Base: filepath.Join(filepath.Dir(file), "..", "..", "..", "..", "configs", "quickstart", "base-model")}, o)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// TestConversation: the pieces are the answer, each turn belongs to what the
// model sees of the next one, and Reset forgets all.
func TestConversation(t *testing.T) {
	t.Parallel()
	p := partner(t, Options{System: "Be brief."})
	pieces := ""
	on := func(piece string) error { pieces += piece; return nil }
	first, err := p.Ask(t.Context(), "Who are you?", on)
	if err != nil || first.Text == "" || pieces != first.Text || first.Tokens == 0 || first.Cut {
		t.Fatalf("%+v, %v, pieces %q", first, err, pieces)
	}
	if _, err := p.Ask(t.Context(), "And where?", on); err != nil {
		t.Fatal(err)
	}
	text, err := p.tok.Render(append(p.turns[:0:0], p.turns...), true)
	if err != nil || len(p.turns) != 4 || !strings.Contains(text, first.Text) || !strings.Contains(text, "Who are you?") {
		t.Errorf("%+v, %v", p.turns, err)
	}
	saw, err := p.prompt(p.limit())
	if all := p.tok.Decode(saw.ids, false); err != nil || !strings.Contains(all, "Be brief.") || !strings.Contains(all, "And where?") {
		t.Errorf("the model sees %q, %v", all, err)
	}
	p.Reset()
	if again, err := p.Ask(t.Context(), "Who are you?", on); err != nil || again.Text != first.Text {
		t.Errorf("after the reset: %+v, %v", again, err)
	}
}

// TestInterrupted: the end of the context is the end of the answer, and no
// error.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	p := partner(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	got, err := p.Ask(ctx, "Who are you?", func(string) error { cancel(); return nil })
	if err != nil || !got.Cut || got.Text == "" || got.Tokens != 1 || len(p.turns) != 2 {
		t.Errorf("%+v, %v", got, err)
	}
	broken := errors.New("the pipe is closed")
	if _, err := p.Ask(t.Context(), "Who are you?", func(string) error { return broken }); !errors.Is(err, broken) {
		t.Errorf("a writer that fails: %v", err)
	}
}

// TestLongConversation: the oldest turns are left out, and counted; a message
// that cannot fit is an error, and the conversation stays as it was.
func TestLongConversation(t *testing.T) {
	t.Parallel()
	p := partner(t, Options{MaxPrompt: 40})
	on := func(string) error { return nil }
	forgotten := 0
	for range 6 {
		got, err := p.Ask(t.Context(), "Which boat lies at the pier?", on)
		if err != nil {
			t.Fatal(err)
		}
		forgotten = got.Forgotten
	}
	if forgotten == 0 || forgotten%2 != 0 {
		t.Errorf("%d turns were left out", forgotten)
	}
	if _, err := p.Ask(t.Context(), strings.Repeat("pier ", 100), on); !errors.Is(err, ErrTooLong) || len(p.turns) != 12 {
		t.Errorf("%v, %d turns", err, len(p.turns))
	}
}

// TestModelsOwnLength: without a limit of the run, what the model was made for bounds a
// conversation and its answer. Turns are left out and an answer ends there, and both are
// told; a message that leaves no room for an answer is an error with the numbers.
func TestModelsOwnLength(t *testing.T) {
	t.Parallel()
	p := partner(t, Options{})
	on := func(string) error { return nil }
	_, err := p.Ask(t.Context(), strings.Repeat("word ", 400), on)
	if !errors.Is(err, ErrTooLong) || !strings.Contains(err.Error(), "tokens, and the model was made for 256, its answer among them") || len(p.turns) != 0 {
		t.Errorf("%v, %d turns", err, len(p.turns))
	}
	tokens := func(message string) int {
		p.turns = []token.Message{{Role: "user", Content: message}}
		saw, _ := p.prompt(p.limit()) // one that is too long is counted, too
		return len(saw.ids)
	}
	message := "Who are you?"
	for tokens(message+" pier") < 255 {
		message += " pier"
	}
	for _, more := range []string{"", "?", " a", " pier", " Who", " pier?", " a pier?"} { // they have tokens of other numbers
		if tokens(message+more) == 255 { // with room for one of an answer
			message += more
			break
		}
	}
	if n := tokens(message); n != 255 {
		t.Fatalf("the message has %d tokens", n)
	}
	p.Reset()
	p.options.Generate.MaxNewTokens = 32
	long, err := p.Ask(t.Context(), message, on)
	if err != nil || long.Tokens != 1 || !long.Full || !long.Cut || long.Positions != 256 {
		t.Errorf("%+v, %v", long, err)
	}
	next, err := p.Ask(t.Context(), "Who are you?", on)
	if err != nil || next.Forgotten != 2 || next.Full || !strings.Contains(next.Excess, "the model was made for 256") {
		t.Errorf("%+v, %v", next, err)
	}
}
