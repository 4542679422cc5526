package storeretry

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// fakeFiles returns an error from every call.
type fakeFiles func() error

func (f fakeFiles) PutFile(context.Context, string, string, string) (events.Reference, error) {
	return events.Reference{}, f()
}

func (f fakeFiles) PutDir(context.Context, string, string) (events.Reference, error) {
	return events.Reference{}, f()
}

func (f fakeFiles) Open(context.Context, events.Reference, string) error     { return f() }
func (f fakeFiles) OpenDir(context.Context, events.Reference, string) error  { return f() }
func (f fakeFiles) FetchDir(context.Context, events.Reference, string) error { return f() }

// TestStore: an unavailable store is retried until the budget is used
// up or the context ends; any other error is returned at once.
func TestStore(t *testing.T) {
	t.Parallel()
	full := &artifact.UnavailableError{Err: errors.New("full")}
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		err       error
		mended    time.Duration // when the store works again; 0: never
		cancelled time.Duration // when the context ends; 0: never
		want      error
		low, high time.Duration // how long it takes
	}{
		"works":                 {nil, 0, 0, nil, 0, 0},
		"another error":         {broken, 0, 0, broken, 0, 0},
		"full for a minute":     {full, time.Minute, 0, nil, time.Minute, 2 * time.Minute},
		"full for ever":         {full, 0, 0, full, 59 * time.Minute, time.Hour},
		"cancelled in the wait": {full, 0, 10 * time.Second, full, 10 * time.Second, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				began := time.Now()
				files := fakeFiles(func() error {
					if c.mended > 0 && time.Since(began) >= c.mended {
						return nil
					}
					return c.err
				})
				if c.cancelled > 0 {
					time.AfterFunc(c.cancelled, cancel)
				}
				s := Store{Files: files, Budget: time.Hour}.LogTo(slog.New(slog.DiscardHandler))
				err := s.FetchDir(ctx, events.Reference{Key: "k"}, "dir")
				if !errors.Is(err, c.want) || c.want == nil && err != nil {
					t.Errorf("it returns %v, want %v", err, c.want)
				}
				if took := time.Since(began); took < c.low || took > c.high {
					t.Errorf("it took %s, want %s to %s", took, c.low, c.high)
				}
			})
		})
	}
}

// TestStoreAnnouncesItsWait: a store that is away for longer than the limits of
// the job's stage does not stall the job; a call that never returns does.
func TestStoreAnnouncesItsWait(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		hangs bool
		after time.Duration // of the stall; 0: there is none
	}{"away": {false, 0}, "hangs": {true, 10 * time.Minute}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				m := progress.New(progress.Limits{progress.Upload: 10 * time.Minute, progress.Train: 15 * time.Minute}, progress.Train)
				ctx, cancel := context.WithCancelCause(progress.With(t.Context(), m))
				defer cancel(nil)
				defer m.Watch(progress.Callbacks{OnStall: func(s *progress.Stall) { cancel(s) }})()
				began := time.Now()
				s := Store{Budget: time.Hour, Log: slog.New(slog.DiscardHandler), Files: fakeFiles(func() error {
					if c.hangs && time.Since(began) > time.Minute {
						<-ctx.Done()
					} else {
						time.Sleep(30 * time.Second) // until the request gives up
					}
					return &artifact.UnavailableError{Err: errors.New("no answer")}
				})}
				_, err := s.PutDir(ctx, "k", "dir")
				stall, took := m.Stall(), time.Since(began)
				switch {
				case err == nil:
					t.Error("it succeeds")
				case c.after == 0 && (stall != nil || took < 59*time.Minute):
					t.Errorf("after %s it ended with %v", took, stall)
				case c.after > 0 && (stall == nil || stall.Stage != progress.Upload || took < c.after || took > c.after+3*time.Minute):
					t.Errorf("after %s it ended with %v", took, stall)
				}
			})
		})
	}
}
