package exit_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// TestCodeAndMessage: each error has its status, and a silent one no message.
func TestCodeAndMessage(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	for name, c := range map[string]struct {
		err     error
		code    exit.Code
		message string
	}{
		"success":             {nil, exit.CodeOK, ""},
		"any error":           {full, exit.CodeError, "the disk is full"},
		"bad input":           {exit.Input(full), exit.CodeInput, "the disk is full"},
		"wrapped":             {fmt.Errorf("up: %w", exit.Timeout(full)), exit.CodeTimeout, "up: the disk is full"},
		"faults":              {fmt.Errorf("rejected:\n%w", structconf.Faults{{Key: "a", Message: "b"}}), exit.CodeInput, "rejected:\na: b"},
		"data folder in use":  {fmt.Errorf("start: %w", embedded.ErrInUse), exit.CodeInput, "start: " + embedded.ErrInUse.Error()},
		"silent":              {exit.Silent(exit.CodeFailure), exit.CodeFailure, ""},
		"silent, cleaned up":  {exit.Join(exit.Silent(exit.CodeCancelled), nil), exit.CodeCancelled, ""},
		"silent, and unclean": {exit.Join(exit.Silent(exit.CodeCancelled), full), exit.CodeCancelled, "the disk is full"},
		"both":                {exit.Join(exit.Input(errors.New("no")), full), exit.CodeInput, "no\nthe disk is full"},
		"only unclean":        {exit.Join(nil, full), exit.CodeError, "the disk is full"},
	} {
		if code, message := exit.CodeOf(c.err), exit.Message(c.err); code != c.code || message != c.message {
			t.Errorf("%s: status %d and %q, want %d and %q", name, code, message, c.code, c.message)
		}
	}
}
