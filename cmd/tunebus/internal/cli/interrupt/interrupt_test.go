package interrupt_test

import (
	"context"
	"errors"
	"os"
	"syscall"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/interrupt"
)

func raise(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(os.Getpid(), syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
}

// TestSignals: the first signal ends the context and says why, the second one does
// not wait, and a command that takes the signals over gets them alone.
func TestSignals(t *testing.T) {
	ctx, forced, release := interrupt.Context(t.Context())
	defer release()
	taken, giveBack := interrupt.Take(ctx)
	raise(t)
	<-taken
	giveBack()
	if ctx.Err() != nil {
		t.Fatal("a signal that a command took ended the context")
	}
	raise(t)
	<-ctx.Done()
	if _, ok := errors.AsType[interrupt.Signal](context.Cause(ctx)); !ok {
		t.Errorf("the cause is %v", context.Cause(ctx))
	}
	select {
	case <-forced:
		t.Error("the first signal forced the end")
	default:
	}
	raise(t)
	<-forced
	raise(t) // a third one changes nothing
}

// TestLastWords: who is interrupted twice says what the command wanted to say, until it takes that
// back.
func TestLastWords(t *testing.T) {
	ctx, forced, release := interrupt.Context(t.Context())
	defer release()
	interrupt.LastWords(ctx, "said no more")
	interrupt.LastWords(ctx, "go on with r")
	for range 2 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		<-ctx.Done() // one after the other: two that wait are one
	}
	<-forced
	if got := interrupt.LastWordsOf(ctx); got != "go on with r" || interrupt.Of(ctx) != syscall.SIGTERM {
		t.Errorf("the last words are %q, and the signal is %v", got, interrupt.Of(ctx))
	}
	if interrupt.LastWords(t.Context(), "nobody listens"); interrupt.LastWordsOf(t.Context()) != "" {
		t.Error("a command without signals has last words")
	}
}
