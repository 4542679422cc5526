package judge

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/pipeline/progress"
)

// TestWaitsAreAnnounced: what a call waits for has a name and a limit of its own,
// which holds instead of that of the stage. A call that takes longer hangs.
func TestWaitsAreAnnounced(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status   int // of the first try; 0: there is none yet
		err      error
		waitsFor string
		limit    time.Duration
	}{
		"answer":     {0, nil, "an answer of the judge at judge:8000", 11 * time.Minute},
		"rate limit": {http.StatusTooManyRequests, nil, "the rate limit of the judge at judge:8000", 4 * time.Minute},
		"loading":    {http.StatusServiceUnavailable, nil, "the judge at judge:8000, which answers 503 Service Unavailable and may be loading", 4 * time.Minute},
		"away":       {0, errors.New("connection refused"), "the judge at judge:8000, which cannot be reached", 4 * time.Minute},
		"it answers": {http.StatusOK, nil, "an answer of the judge at judge:8000", 11 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				client, err := NewClient(Config{BaseURL: "http://judge:8000/v1", MaxRetries: 4, MaxDelay: 3 * time.Minute, Timeout: 2 * time.Minute})
				if err != nil {
					t.Fatal(err)
				}
				m := progress.New(progress.Limits{progress.Score: time.Minute}, progress.Score)
				stalled := make(chan *progress.Stall, 1)
				defer m.Watch(progress.Callbacks{OnStall: func(s *progress.Stall) { stalled <- s }})()
				call, done := client.announce(progress.With(t.Context(), m))
				if c.status > 0 || c.err != nil {
					req, err := http.NewRequestWithContext(call, http.MethodPost, "http://judge:8000/v1", nil)
					if err != nil {
						t.Fatal(err)
					}
					res, _ := client.announcePauses(req, func(*http.Request) (*http.Response, error) {
						return &http.Response{StatusCode: c.status, Body: http.NoBody}, c.err
					})
					res.Body.Close()
				}
				began := time.Now()
				s := <-stalled
				if took := time.Since(began); s.WaitsFor != c.waitsFor || took < c.limit || took > c.limit+time.Minute {
					t.Errorf("after %s it hangs: %v; want %s, %s", took, s, c.limit, c.waitsFor)
				}
				done(nil)
			})
		})
	}
}

// TestRateLimitDoesNotStall: a real call that meets a rate limit for longer than the
// stage allows goes on, and its answer counts as progress.
func TestRateLimitDoesNotStall(t *testing.T) {
	t.Parallel()
	const limit = 200 * time.Millisecond
	began := time.Now()
	s := &server{
		vectors: map[string][]float64{"the-truth": {1}, "the-answer": {1}},
		refuse: func(call int) int {
			if call == 1 {
				return http.StatusTooManyRequests
			}
			return 0
		},
		retryAfter: "1000",
	}
	c := s.client(t)
	c, err := NewClient(Config{BaseURL: "http://" + c.host + "/v1", Embedding: "embedder", MaxRetries: 2})
	if err != nil {
		t.Fatal(err)
	}
	m := progress.New(progress.Limits{progress.Score: limit}, progress.Score)
	ctx, cancel := context.WithCancelCause(progress.With(t.Context(), m))
	defer cancel(nil)
	defer m.Watch(progress.Callbacks{OnStall: func(s *progress.Stall) { cancel(s) }})()
	if _, err := c.embed(ctx, "the-truth"); err != nil || time.Since(began) < time.Second {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	if stall := m.Stall(); stall != nil {
		t.Error(stall)
	}
}
