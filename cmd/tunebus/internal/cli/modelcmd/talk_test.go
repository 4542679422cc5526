package modelcmd

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/interrupt"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/conversation"
	"github.com/tunebus/tunebus/llm/generation"
)

// TestInterrupt: Ctrl-C ends the answer that is under way, and at the prompt the
// command.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	_, file, _, _ := runtime.Caller(0)
	base := filepath.Join(filepath.Dir(file), "..", "..", "..", "..", "..", "configs", "quickstart", "base-model")
	p, err := conversation.Open("base", conversation.Folders{Base: base}, conversation.Options{Generate: generation.Prompt{MaxNewTokens: 32}})
	if err != nil {
		t.Fatal(err)
	}
	presses := make(chan os.Signal)
	console := view.NewConsole(io.Discard, io.Discard)
	r, w := io.Pipe()
	talk := &talk{partners: []*conversation.Partner{p}, view: console.Chat(r, false), console: console, presses: presses}
	done := make(chan error, 1)
	go func() { done <- talk.run(context.Background(), r) }()
	if _, err := io.WriteString(w, "Who are you?\n"); err != nil {
		t.Fatal(err)
	}
	for ended := false; !ended; { // some of them may meet an answer, the last one meets none
		select {
		case presses <- os.Interrupt:
		case err = <-done:
			ended = true
		}
	}
	if e, ok := errors.AsType[*exit.Error](err); !ok || e.Code != exit.CodeInterrupted || !e.Silent {
		t.Errorf("at the prompt: %v", err)
	}
	_ = w.Close()
}

// TestEnded: a signal that asks the process to end does so in an answer and at the
// prompt, and is no Ctrl-C.
func TestEnded(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancelCause(t.Context())
	stop(interrupt.Signal{Signal: syscall.SIGTERM})
	console := view.NewConsole(io.Discard, io.Discard)
	r, w := io.Pipe()
	defer func() { _ = w.Close() }()
	err := (&talk{view: console.Chat(r, false), console: console}).run(ctx, r)
	if code := exit.CodeOf(exit.Interrupted(err, interrupt.Of(ctx))); code != exit.CodeTerminated {
		t.Errorf("%v: status %d", err, code)
	}
}
