package worker

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

// TestProblem: an error keeps its code through wrapping, and stays small.
func TestProblem(t *testing.T) {
	t.Parallel()
	cause := errors.New("no such column")
	for _, c := range []struct {
		err  error
		code string
	}{
		{cause, "error"},
		{Permanent("bad_dataset", cause), "bad_dataset"},
		{fmt.Errorf("row 3: %w", Permanent("bad_dataset", cause)), "bad_dataset"},
		{errors.Join(cause, Permanent("bad_dataset", cause)), "bad_dataset"},
		{&Fault{Code: "panic", Err: cause}, "panic"},
	} {
		if p := problem(c.err); p.Code != c.code || !errors.Is(c.err, cause) {
			t.Errorf("%v: %+v", c.err, p)
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
