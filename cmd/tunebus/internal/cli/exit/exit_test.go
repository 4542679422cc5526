package exit_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/interrupt"
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

// TestInterrupted: a signal gives a command its status, unless it had its result
// before. What failed only because the command was ended is not shown.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	full := errors.New("the disk is full")
	for name, c := range map[string]struct {
		err     error
		code    exit.Code
		message string
	}{
		"no error":        {nil, exit.CodeOK, ""},
		"a result":        {exit.Silent(exit.CodeFailure), exit.CodeFailure, ""},
		"only ended":      {fmt.Errorf("read the stream: %w", context.Canceled), exit.CodeInterrupted, "interrupted"},
		"ended unclean":   {exit.Join(context.Canceled, full), exit.CodeInterrupted, "interrupted\nthe disk is full"},
		"says how it is":  {&exit.Error{Code: exit.CodeInterrupted, Err: errors.New("interrupted; go on")}, exit.CodeInterrupted, "interrupted; go on"},
		"another failure": {full, exit.CodeInterrupted, "the disk is full"},
		"to be mended":    {exit.Input(full), exit.CodeInput, "the disk is full"},
		"its cause":       {exit.Input(interrupt.Signal{Signal: os.Interrupt}), exit.CodeInterrupted, "interrupted"},
	} {
		got := exit.Interrupted(c.err, os.Interrupt)
		if exit.CodeOf(got) != c.code || exit.Message(got) != c.message {
			t.Errorf("%s: status %d, %q", name, exit.CodeOf(got), exit.Message(got))
		}
		if code := exit.CodeOf(exit.Interrupted(c.err, syscall.SIGTERM)); c.code == exit.CodeInterrupted && code != exit.CodeTerminated {
			t.Errorf("%s: SIGTERM gives status %d", name, code)
		}
	}
}
