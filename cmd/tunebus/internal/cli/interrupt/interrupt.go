// Package interrupt ends a command when a person presses Ctrl-C, when the
// system asks the process to end, and when its terminal is closed.
//
// The first signal ends the command's context, and the command ends as it should:
// it stores where it is and says how to go on. The second one does not wait for
// that. A command that has a use of its own for Ctrl-C takes that signal over; one
// that asks the process to end is never taken:
//
//	presses, giveBack := interrupt.Take(ctx)
//	defer giveBack()
package interrupt

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"runtime/pprof"
	"sync"
	"syscall"
)

// signals are the signals of the process, and who gets them.
type signals struct {
	stop   context.CancelCauseFunc
	forced chan struct{}

	mu    sync.Mutex
	taken chan os.Signal // of a command that took them over, or nil
	count int            // of those that no command took
	last  string         // what is said if nothing is waited for
}

// key is the key of the signals in a context.
type key struct{}

// Signal is the cause of a context that a signal ended.
type Signal struct{ os.Signal }

func (s Signal) Error() string { return "interrupted" }

// Is reports whether the error is that of a context that was ended, which it is
// wherever the cause of a context is returned instead of its error.
func (s Signal) Is(target error) bool { return target == context.Canceled }

// Of returns the signal that ended a context; nil if none did.
func Of(ctx context.Context) os.Signal {
	if s, ok := errors.AsType[Signal](context.Cause(ctx)); ok {
		return s.Signal
	}
	return nil
}

// Context returns a context that the first signal ends. forced is closed with the
// second one. release gives the signals back to the system; it has to be called.
func Context(parent context.Context) (ctx context.Context, forced <-chan struct{}, release func()) {
	ctx, stop := context.WithCancelCause(parent)
	s := &signals{stop: stop, forced: make(chan struct{})}
	received := make(chan os.Signal, 4)
	signal.Notify(received, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		signal.Notify(received, syscall.SIGHUP)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for sig := range received {
			s.deliver(sig)
		}
	}()
	return context.WithValue(ctx, key{}, s), s.forced, func() {
		signal.Stop(received)
		close(received)
		<-ended
		stop(nil)
	}
}

// DumpOnQuit has Ctrl-\ (SIGQUIT) end the process at once, with what each goroutine does, for
// whoever looks for the reason why it hangs.
func DumpOnQuit(to io.Writer) {
	quit := make(chan os.Signal, 1)
	signal.Notify(quit, syscall.SIGQUIT)
	go func() {
		<-quit
		const inWords = 2
		_ = pprof.Lookup("goroutine").WriteTo(to, inWords) // the process ends anyway
		os.Exit(CodeQuit)
	}()
}

// CodeQuit is what shells report of a program that SIGQUIT ended.
const CodeQuit = 131

// deliver gives a signal to who wants it.
func (s *signals) deliver(sig os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken != nil && sig == os.Interrupt {
		select {
		case s.taken <- sig:
		default: // the last one is not handled yet
		}
		return
	}
	switch s.count++; s.count {
	case 1:
		s.stop(Signal{sig})
	case 2:
		close(s.forced)
	}
}

// LastWords has a command say what is to be said if a second signal ends it: it has no time for
// that then. Outside of [Context] nothing is.
func LastWords(ctx context.Context, text string) {
	if s, ok := ctx.Value(key{}).(*signals); ok {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.last = text
	}
}

// LastWordsOf is what a command has to say; empty for nothing.
func LastWordsOf(ctx context.Context) string {
	s, ok := ctx.Value(key{}).(*signals)
	if !ok {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// Take has a command get each Ctrl-C itself, until it gives them back. Outside of
// [Context] there are none.
func Take(ctx context.Context) (received <-chan os.Signal, giveBack func()) {
	s, ok := ctx.Value(key{}).(*signals)
	if !ok {
		return nil, func() {}
	}
	taken := make(chan os.Signal, 1)
	s.set(taken)
	return taken, func() { s.set(nil) }
}

func (s *signals) set(taken chan os.Signal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = taken
}
