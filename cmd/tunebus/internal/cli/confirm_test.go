package cli

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// TestAsks: only a yes does what cannot be undone.
func TestAsks(t *testing.T) {
	t.Parallel()
	for answer, ok := range map[string]bool{"y\n": true, "Yes\n": true, "yes": true, "n\n": false, "\n": false, "": false, "why?\n": false} {
		var out bytes.Buffer
		a := &app{screen: &screen{w: &out}}
		if err := a.ask(strings.NewReader(answer), "discard 2 letters"); (err == nil) != ok {
			t.Errorf("%q: %v", answer, err)
		}
		if out.String() != "discard 2 letters? [y/N] " {
			t.Errorf("asked %q", out.String())
		}
	}
	a := &app{}
	if err := a.confirm(strings.NewReader("y\n"), "discard", false); statusOf(err) != exitInput || !strings.Contains(err.Error(), "--force") {
		t.Errorf("without a terminal: %v", err)
	}
	if err := a.confirm(iotest.ErrReader(io.ErrUnexpectedEOF), "discard", true); err != nil {
		t.Errorf("forced: %v", err)
	}
}
