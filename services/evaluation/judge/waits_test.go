package judge

import (
	"context"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/pipeline/progress"
)

// refused is what a network says of an address where nobody listens.
func refused() error {
	return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
}

// TestWaitsAreAnnounced: what a call waits for has a name and a limit of its own,
// so that a call that takes longer than its stage may does not count as one that
// hangs.
func TestWaitsAreAnnounced(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		server   *server
		waitsFor string
		limit    time.Duration
	}{
		"answer":     {&server{away: func() error { time.Sleep(100 * time.Second); return nil }}, "an answer of the judge at judge:8000", 3 * time.Minute},
		"rate limit": {&server{refuse: statusFor(4*time.Minute, http.StatusTooManyRequests), retryAfter: "180000"}, "the rate limit of the judge at judge:8000", 4 * time.Minute},
		"loading": {
			&server{refuse: statusFor(4*time.Minute, http.StatusServiceUnavailable), retryAfter: "180000"},
			"the judge at judge:8000, which answers 503 Service Unavailable and may be loading", 4 * time.Minute,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := progress.New(progress.Limits{progress.Score: 30 * time.Second}, progress.Score)
				ctx, cancel := context.WithCancelCause(progress.With(t.Context(), m))
				defer cancel(nil)
				waits := map[string]time.Duration{}
				defer m.Watch(progress.Callbacks{
					OnStall: func(s *progress.Stall) { cancel(s) },
					OnWait:  func(waitsFor string, limit time.Duration) { waits[waitsFor] = limit },
				})()
				c.server.vectors = map[string][]float64{"the-truth": {1}, "the-answer": {1}}
				if c.server.refuse != nil {
					c.server.refuse(0) // its clock starts here
				}
				if _, err := c.server.patient(t).embed(ctx, "the-truth"); err != nil {
					t.Error(err)
				}
				if stall := m.Stall(); stall != nil {
					t.Error(stall)
				}
				synctest.Wait()
				if limit, ok := waits[c.waitsFor]; !ok || limit != c.limit {
					t.Errorf("waits are %v, want %s for %s", waits, c.limit, c.waitsFor)
				}
			})
		})
	}
}

// statusFor refuses with a status for a time, which begins with the first call.
func statusFor(d time.Duration, status int) func(int) int {
	var began time.Time
	return func(int) int {
		if began.IsZero() {
			began = time.Now()
		}
		if time.Since(began) < d {
			return status
		}
		return 0
	}
}

// TestDelays: the pauses double up to a minute, half of each at random; ten of them
// outlast an absence of two minutes. A server gets the pause that it asks for.
func TestDelays(t *testing.T) {
	t.Parallel()
	c, err := NewClient(Config{BaseURL: "http://judge:8000/v1"})
	if err != nil {
		t.Fatal(err)
	}
	whole := []int{1, 2, 4, 8, 16, 32, 60, 60, 60, 60} // seconds
	different := false
	for range 100 {
		sum := time.Duration(0)
		for i, seconds := range whole {
			most := time.Duration(seconds) * time.Second
			d := c.delay(i, failure{})
			different = different || d != c.delay(i, failure{})
			if d < most/2 || d > most {
				t.Fatalf("pause %d is %s", i, d)
			}
			sum += d
		}
		if sum < 2*time.Minute {
			t.Fatalf("all pauses are %s", sum)
		}
	}
	if !different {
		t.Error("the pauses have no jitter")
	}
	for _, f := range []struct {
		failure failure
		least   time.Duration
	}{{failure{retryAfter: 4 * time.Minute}, 4 * time.Minute}, {failure{arrived: true}, time.Second}} {
		if d := c.delay(1000, f.failure); d < f.least || f.failure.arrived && d > maxAnswerDelay {
			t.Errorf("%+v pauses for %s", f.failure, d)
		}
	}
}
