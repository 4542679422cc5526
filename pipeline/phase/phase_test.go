package phase

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/events"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestUsedUp: errors count as tries, silence as crashes, shutdowns as
// nothing.
func TestUsedUp(t *testing.T) {
	t.Parallel()
	attempt := func(n int, reason events.EndReason) events.Attempt {
		a := events.Attempt{Number: n, Started: &events.PhaseStarted{Attempt: n}}
		if reason != "" {
			a.Ended = &events.AttemptEnded{Attempt: n, Reason: reason}
		}
		if reason == events.EndError {
			a.Ended.Error = &events.Problem{Code: "oom", Message: fmt.Sprintf("out of memory at %d", n)}
		}
		return a
	}
	e, s, silent := events.EndError, events.EndShutdown, events.EndReason("")
	for _, c := range []struct {
		had            []events.EndReason
		tries, crashes int // of the specification; 0: the worker's
		code, message  string
	}{
		{nil, 0, 0, "", ""},
		{[]events.EndReason{e, e}, 0, 0, "", ""},
		{[]events.EndReason{e, e, e}, 0, 0, "oom", "gave up after 3 tries: out of memory at 3"},
		{[]events.EndReason{e}, 1, 0, "oom", "gave up after 1 tries: out of memory at 1"},
		{[]events.EndReason{e, e, e}, 4, 0, "", ""},
		{[]events.EndReason{s, s, s, s, s, s, s}, 1, 1, "", ""},
		{[]events.EndReason{silent, silent, silent, silent}, 0, 0, "", ""},
		{[]events.EndReason{silent, s, silent, e, silent, silent, silent}, 0, 0, "crashed", "gave up after 5 attempts"},
		{[]events.EndReason{silent, silent}, 0, 2, "crashed", "gave up after 2 attempts"},
	} {
		w := New(nil, nil, nil, Config{Phase: events.Finetune})
		var req events.PhaseRequested
		req.Specification.Pipeline.MaxTries, req.Specification.Pipeline.MaxCrashes = c.tries, c.crashes
		var state events.PhaseState
		for i, reason := range c.had {
			state.Attempts = append(state.Attempts, attempt(i+1, reason))
		}
		err := w.usedUp(req, &state)
		if c.code == "" {
			if err != nil {
				t.Errorf("%v: %v", c.had, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%v: another attempt may work", c.had)
			continue
		}
		if p := problem(err); p.Code != c.code || !strings.HasPrefix(p.Message, c.message) {
			t.Errorf("%v: %+v", c.had, p)
		}
	}
}

// TestProblem: an error keeps its code through wrapping, and stays small.
func TestProblem(t *testing.T) {
	t.Parallel()
	cause := errors.New("no such column")
	for _, c := range []struct {
		err       error
		code      string
		permanent bool
	}{
		{cause, "error", false},
		{Permanent("bad_dataset", cause), "bad_dataset", true},
		{fmt.Errorf("row 3: %w", Permanent("bad_dataset", cause)), "bad_dataset", true},
		{errors.Join(cause, Permanent("bad_dataset", cause)), "bad_dataset", true},
		{&Fault{Code: "panic", Err: cause}, "panic", false},
	} {
		if p := problem(c.err); p.Code != c.code || permanent(c.err) != c.permanent || !errors.Is(c.err, cause) {
			t.Errorf("%v: %+v, permanent %v", c.err, p, permanent(c.err))
		}
	}
	if Permanent("x", nil) != nil {
		t.Error("no error became one")
	}
	long := problem(errors.New("x" + strings.Repeat("ü", 5000)))
	if len(long.Message) > 5000 || !utf8.ValidString(long.Message) {
		t.Errorf("%d bytes, valid %v", len(long.Message), utf8.ValidString(long.Message))
	}
}

// TestPanicIsAnError: a panic of any kind is an error that is tried again.
func TestPanicIsAnError(t *testing.T) {
	t.Parallel()
	for _, p := range []any{"text", errors.New("error"), 7} {
		_, err := guarded(t.Context(), EngineFunc(func(context.Context, *Job) (Result, error) { panic(p) }), nil)
		if problem(err).Code != "panic" || permanent(err) || !strings.Contains(err.Error(), fmt.Sprint(p)) {
			t.Errorf("panic %v became %v", p, err)
		}
	}
}

// TestOutlive: what has to be published at a shutdown has its own time, and
// not more.
func TestOutlive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		out, stop := outlive(ctx, 3*time.Second)
		defer stop()
		cancel()
		began := time.Now()
		synctest.Wait()
		if out.Err() != nil {
			t.Fatal("it ended with its parent")
		}
		<-out.Done()
		if took := time.Since(began); took != 3*time.Second || !errors.Is(context.Cause(out), errGraceOver) {
			t.Errorf("it ended after %s: %v", took, context.Cause(out))
		}
	})
}

// TestStubbornEngine: at a shutdown an engine has its time, and not more.
func TestStubbornEngine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		o := &outcome{done: make(chan struct{})}
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		if o.wait(ctx, 5*time.Second) || time.Since(began) != 6*time.Second {
			t.Errorf("given up after %s", time.Since(began))
		}
		time.AfterFunc(2*time.Second, func() { close(o.done) })
		if !o.wait(ctx, 5*time.Second) {
			t.Error("it was done in time")
		}
	})
}

// TestScratch: the folder is made when it is needed and removed with all that
// is in it.
func TestScratch(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	count := func() int {
		entries, err := os.ReadDir(parent)
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	s := scratch{parent: parent, phase: events.Finetune}
	if err := s.remove(); err != nil || count() != 0 {
		t.Errorf("removed what was never made: %v, %d entries", err, count())
	}
	a, err := s.path("a")
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.path("b")
	if err != nil || filepath.Dir(a) != filepath.Dir(b) || count() != 1 {
		t.Errorf("%s and %s: %v", a, b, err)
	}
	if err := os.WriteFile(a, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.remove(); err != nil || count() != 0 {
		t.Errorf("left over: %v, %d entries", err, count())
	}
	if _, err := (&scratch{parent: filepath.Join(parent, "none")}).path("x"); err == nil {
		t.Error("a folder in a folder that is not there")
	}
}
