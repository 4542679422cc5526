package session_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/spf13/pflag"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
)

// TestLogger: without --verbose a person reads sentences, once each, and nothing
// that the facts of a run tell. With it there is a log.
func TestLogger(t *testing.T) {
	t.Parallel()
	for _, verbose := range []bool{false, true} {
		var screen bytes.Buffer
		s := session.New("v1", view.NewConsole(io.Discard, &screen))
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		s.AddFlags(flags)
		if verbose {
			if err := flags.Parse([]string{"-v"}); err != nil {
				t.Fatal(err)
			}
		}
		log := s.Logger().With("service", "finetune", "run", "r1")
		log.Info("attempt started")
		log.Error("phase completed", "error", errors.New("no room"))
		for range 2 {
			log.Warn("checkpoint not saved; the work goes on", "step", 7, "error", errors.New("no \x1b room"))
		}
		want := "warning: checkpoint not saved; the work goes on: no \\u001b room (run r1, step 7)\n"
		if got := screen.String(); !verbose && got != want || verbose && (bytes.Count(screen.Bytes(), []byte("level=")) != 3 || bytes.Contains(screen.Bytes(), []byte{0x1b})) {
			t.Errorf("verbose %t:\n%s", verbose, got)
		}
	}
}
