package view

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
)

// TestConfirm: only a yes does what cannot be undone.
func TestConfirm(t *testing.T) {
	t.Parallel()
	for answer, ok := range map[string]bool{"y\n": true, "Yes\n": true, "yes": true, "n\n": false, "\n": false, "": false, "why?\n": false} {
		var out bytes.Buffer
		c := NewConsole(io.Discard, &out)
		want := "discard 2 letters? [y/N] "
		if !ok {
			want += "nothing was done\n"
		}
		if err := newPerson(c, strings.NewReader(answer)).confirm("discard 2 letters"); (err == nil) != ok || exit.CodeOf(err) != exit.CodeOK {
			t.Errorf("%q: %v", answer, err)
		}
		if out.String() != want {
			t.Errorf("asked %q", out.String())
		}
	}
	c := NewConsole(io.Discard, io.Discard)
	if err := c.Confirm(strings.NewReader("y\n"), "discard", "--force", false); exit.CodeOf(err) != exit.CodeInput || !strings.Contains(err.Error(), "--force") {
		t.Errorf("without a terminal: %v", err)
	}
	if err := c.Confirm(iotest.ErrReader(io.ErrUnexpectedEOF), "discard", "--force", true); err != nil {
		t.Errorf("forced: %v", err)
	}
}

// TestChoose: an answer is a word or its beginning; an empty one is the first word,
// and anything else is asked again. Without a terminal nobody is asked.
func TestChoose(t *testing.T) {
	t.Parallel()
	words := []string{"first", "cancel", "skip"}
	for answer, want := range map[string]string{"\n": "first", "c\n": "cancel", "Skip\n": "skip", "what?\nsk\n": "skip", "sk": "skip"} {
		var out bytes.Buffer
		c := NewConsole(io.Discard, &out)
		if got, err := newPerson(c, strings.NewReader(answer)).choose("go on", words); err != nil || got != want {
			t.Errorf("%q: %q, %v", answer, got, err)
		}
	}
	for _, answer := range []string{"", "what?"} { // Ctrl-D
		if got, err := newPerson(NewConsole(io.Discard, io.Discard), strings.NewReader(answer)).choose("go on", words); exit.CodeOf(err) != exit.CodeInput {
			t.Errorf("%q: %q, %v", answer, got, err)
		}
	}
	var out bytes.Buffer
	if got, err := NewConsole(io.Discard, &out).Choose(strings.NewReader("skip\n"), "go on", words); err != nil || got != "first" || out.Len() > 0 {
		t.Errorf("without a terminal: %q, %v, asked %q", got, err, out.String())
	}
}
