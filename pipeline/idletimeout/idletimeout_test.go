package idletimeout_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/pipeline/idletimeout"
)

// stalled is a body that gives some bytes and then nothing until its context
// ends.
type stalled struct {
	ctx  context.Context
	head io.Reader
}

func (s stalled) Read(p []byte) (int, error) {
	if n, err := s.head.Read(p); err == nil {
		return n, nil
	}
	<-s.ctx.Done()
	return 0, s.ctx.Err()
}

func (stalled) Close() error { return nil }

// TestReaderEndsAStalledTransfer: a Read that gets nothing ends after the limit.
func TestReaderEndsAStalledTransfer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, limit := idletimeout.New(t.Context(), time.Minute)
		r := limit.Reader(stalled{ctx, strings.NewReader("half")})
		defer r.Close()
		begin := time.Now()
		got, err := io.ReadAll(r)
		if string(got) != "half" || !errors.Is(err, idletimeout.ErrIdle) || time.Since(begin) != time.Minute {
			t.Errorf("%q, %v after %s", got, err, time.Since(begin))
		}
	})
}

// TestReaderOfASlowCaller: the time between two Reads does not count.
func TestReaderOfASlowCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, limit := idletimeout.New(t.Context(), time.Minute)
		r := limit.Reader(io.NopCloser(strings.NewReader("ab")))
		for range 2 {
			time.Sleep(time.Hour) // of the bubble's clock
			if n, err := r.Read(make([]byte, 1)); n != 1 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
		}
		if ctx.Err() != nil {
			t.Error("the context has ended")
		}
		if err := r.Close(); err != nil || ctx.Err() == nil {
			t.Errorf("close: %v, the context: %v", err, ctx.Err())
		}
	})
}
