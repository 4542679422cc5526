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
		if err := c.ask(strings.NewReader(answer), "discard 2 letters"); (err == nil) != ok {
			t.Errorf("%q: %v", answer, err)
		}
		if out.String() != "discard 2 letters? [y/N] " {
			t.Errorf("asked %q", out.String())
		}
	}
	c := NewConsole(io.Discard, io.Discard)
	if err := c.Confirm(strings.NewReader("y\n"), "discard", false); exit.CodeOf(err) != exit.CodeInput || !strings.Contains(err.Error(), "--force") {
		t.Errorf("without a terminal: %v", err)
	}
	if err := c.Confirm(iotest.ErrReader(io.ErrUnexpectedEOF), "discard", true); err != nil {
		t.Errorf("forced: %v", err)
	}
}
