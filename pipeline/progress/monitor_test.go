package progress

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const minute = time.Minute

// limits are those of the tests.
var limits = Limits{Fetch: 10 * minute, Load: 15 * minute, FirstStep: 30 * minute, Train: 15 * minute, Save: 15 * minute, Upload: 10 * minute, Score: 0}

// watched runs work under a monitor, in a bubble with a fake clock. It returns
// the first stall and when it was seen; nil if work ended without one.
func watched(t *testing.T, limits Limits, s Stage, work func(ctx context.Context, m *Monitor)) (stall *Stall, after time.Duration) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		m := New(limits, s)
		ctx, cancel := context.WithCancel(With(t.Context(), m))
		defer cancel()
		began := time.Now()
		defer m.Watch(Callbacks{OnStall: func(s *Stall) {
			stall, after = s, time.Since(began)
			cancel()
		}})()
		work(ctx, m)
	})
	return stall, after
}

// pause lets time pass, until a stall ends the work.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// TestStall: what stalls, after which time, and how the stall is called. A stall
// is seen at most one look after its limit.
func TestStall(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context) { pause(ctx, 100*time.Hour) }
	for name, c := range map[string]struct {
		stage Stage
		work  func(ctx context.Context, m *Monitor)
		want  Stage // empty: nothing stalls
		key   Stage
		waits string
		after time.Duration
	}{
		"fetch hangs": {stage: Fetch, work: func(ctx context.Context, _ *Monitor) { hang(ctx) }, want: Fetch, key: Fetch, after: 10 * minute},
		"fetch is slow": {stage: Fetch, work: func(ctx context.Context, m *Monitor) {
			for range 100 {
				pause(ctx, 9*minute)
				m.Advance(1)
			}
		}},
		"hangs after progress": {stage: Fetch, work: func(ctx context.Context, m *Monitor) {
			pause(ctx, 9*minute)
			m.Advance(1)
			hang(ctx)
		}, want: Fetch, key: Fetch, after: 19 * minute},
		"another stage has a new clock": {stage: Fetch, work: func(ctx context.Context, m *Monitor) {
			pause(ctx, 9*minute)
			m.SetStage(Load)
			hang(ctx)
		}, want: Load, key: Load, after: 24 * minute},
		"the same stage again has not": {stage: Fetch, work: func(ctx context.Context, m *Monitor) {
			for range 100 {
				pause(ctx, 3*minute)
				m.SetStage(Fetch)
			}
		}, want: Fetch, key: Fetch, after: 10 * minute},
		"no step at all": {stage: Train, work: func(ctx context.Context, m *Monitor) {
			hang(ctx)
		}, want: FirstStep, key: FirstStep, after: 30 * minute},
		"tokens are no step": {stage: Train, work: func(ctx context.Context, m *Monitor) {
			m.Advance(7)
			hang(ctx)
		}, want: FirstStep, key: FirstStep, after: 30 * minute},
		"no second step": {stage: Train, work: func(ctx context.Context, m *Monitor) {
			pause(ctx, 29*minute)
			m.Step()
			hang(ctx)
		}, want: Train, key: Train, after: 44 * minute},
		"no first score": {stage: Score, work: func(ctx context.Context, _ *Monitor) { hang(ctx) }, want: FirstStep, key: FirstStep, after: 30 * minute},
		"limit 0":        {stage: Score, work: func(ctx context.Context, m *Monitor) { m.Step(); hang(ctx) }},
		"not named":      {stage: Generate, work: func(ctx context.Context, m *Monitor) { m.Step(); hang(ctx) }},
		"the end of a job has the limit of save": {stage: Train, work: func(ctx context.Context, m *Monitor) {
			m.SetStage(Finish)
			hang(ctx)
		}, want: Finish, key: Save, after: 15 * minute},
		"upload in a training hangs": {stage: Train, work: func(ctx context.Context, m *Monitor) {
			pause(ctx, 29*minute)
			m.Step()
			ctx, a := Enter(ctx, Upload)
			defer a.End()
			hang(ctx)
		}, want: Upload, key: Upload, after: 39 * minute},
		"upload in a training is slow": {stage: Train, work: func(ctx context.Context, m *Monitor) {
			m.Step()
			pause(ctx, 10*minute)
			ctx, a := Enter(ctx, Upload)
			for range 100 {
				pause(ctx, 9*minute)
				Advance(ctx, 1)
			}
			a.End()
			pause(ctx, 4*minute)
			m.Step()
		}},
		"the clock goes on after an upload": {stage: Train, work: func(ctx context.Context, m *Monitor) {
			m.Step()
			for range 100 {
				pause(ctx, 4*minute)
				inner, a := Enter(ctx, Upload)
				pause(inner, 6*minute)
				Advance(inner, 1)
				a.End()
			}
		}, want: Train, key: Train, after: 33 * minute},
		"a wait is longer than the stage": {stage: Train, work: func(ctx context.Context, m *Monitor) {
			m.Step()
			a := Wait(ctx, "the store", time.Hour)
			pause(ctx, 59*minute)
			a.End()
			pause(ctx, 14*minute)
			m.Step()
		}},
		"a wait is over": {stage: Train, work: func(ctx context.Context, m *Monitor) {
			m.Step()
			defer Wait(ctx, "the judge's rate limit", 2*minute).End()
			hang(ctx)
		}, want: Train, waits: "the judge's rate limit", after: 2 * minute},
		"a wait without a limit": {stage: Train, work: func(ctx context.Context, m *Monitor) {
			defer Wait(ctx, "NATS", 0).End()
			hang(ctx)
		}},
		"a request inside a wait hangs": {stage: Train, work: func(ctx context.Context, m *Monitor) {
			defer Wait(ctx, "the store", time.Hour).End()
			ctx, a := Enter(ctx, Upload)
			defer a.End()
			hang(ctx)
		}, want: Upload, key: Upload, after: 10 * minute},
		"the last that opened counts": {stage: Train, work: func(ctx context.Context, m *Monitor) {
			m.Step()
			_, first := Enter(ctx, Upload)
			second := Wait(ctx, "the judge", time.Hour)
			pause(ctx, 50*minute)
			first.End()
			first.End() // once more does no harm
			hang(ctx)
			second.End()
		}, want: Train, waits: "the judge", after: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stall, after := watched(t, limits, c.stage, c.work)
			if stall == nil {
				if c.want != "" {
					t.Fatal("nothing stalled")
				}
				return
			}
			if stall.Stage != c.want || stall.Key != c.key || stall.WaitsFor != c.waits {
				t.Errorf("it stalled in %q (key %q, waits for %q), want %q (%q, %q)", stall.Stage, stall.Key, stall.WaitsFor, c.want, c.key, c.waits)
			}
			if look := interval(limits); after < c.after || after > c.after+2*look {
				t.Errorf("it stalled after %s, want %s", after, c.after)
			}
			if what := cmp.Or(c.waits, string(c.want)); !strings.Contains(stall.Error(), what) || !strings.Contains(stall.Error(), stall.Limit.String()) {
				t.Errorf("the error is %q", stall)
			}
		})
	}
}

// TestRetire: a stall is either returned when the work is over, or comes late.
func TestRetire(t *testing.T) {
	t.Parallel()
	var early, late *Stall
	seen, _ := watched(t, limits, Fetch, func(ctx context.Context, m *Monitor) {
		pause(ctx, time.Hour)
		early = m.Retire(Finish)
	})
	if seen == nil || early != seen || seen.Late {
		t.Errorf("seen %+v, returned %+v", seen, early)
	}
	seen, after := watched(t, limits, Fetch, func(ctx context.Context, m *Monitor) {
		pause(ctx, 9*minute)
		if early = m.Retire(Finish); early != nil {
			return
		}
		pause(ctx, time.Hour)
		late = m.Stall()
	})
	if early != nil || seen == nil || late != seen || !seen.Late || after < 24*minute {
		t.Errorf("early %+v, seen %+v after %s, late %+v", early, seen, after, late)
	}
}

// TestStoppedProcess: the time in which the monitor did not look does not count,
// except for two intervals.
func TestStoppedProcess(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := newMonitor(Limits{Fetch: minute}, Fetch, func() time.Time { return now })
	for range 10 {
		now = now.Add(m.interval)
		if stall := m.look().stall; stall != nil {
			t.Fatal("it stalls too early")
		}
	}
	now = now.Add(time.Hour) // the process was stopped
	if stall := m.look().stall; stall != nil {
		t.Error("it stalls since the process was stopped")
	}
	for range 7 {
		now = now.Add(m.interval)
		m.look()
	}
	if m.Stall() != nil {
		t.Error("more than two intervals of the stop count")
	}
	now = now.Add(m.interval)
	if stall := m.look().stall; stall == nil {
		t.Error("it never stalls")
	}
}

// TestOnWait: a wait is reported once a minute.
func TestOnWait(t *testing.T) {
	t.Parallel()
	var told []string
	synctest.Test(t, func(t *testing.T) {
		m := New(limits, Train)
		ctx := With(t.Context(), m)
		stop := m.Watch(Callbacks{
			OnStall: func(s *Stall) { t.Errorf("%v", s) },
			OnWait:  func(waitsFor string, _ time.Duration) { told = append(told, waitsFor) },
		})
		for _, wait := range []struct {
			name  string
			takes time.Duration
		}{{"short", 50 * time.Second}, {"long", 150 * time.Second}, {"other", 70 * time.Second}} {
			a := Wait(ctx, wait.name, time.Hour)
			pause(ctx, wait.takes)
			a.End()
		}
		stop()
	})
	if want := []string{"long", "long", "other"}; !slices.Equal(told, want) {
		t.Errorf("reported %q, want %q", told, want)
	}
}

// TestOnWaiting: a wait that takes longer than a moment is reported soon and again,
// and so is its end.
func TestOnWaiting(t *testing.T) {
	t.Parallel()
	var told []string
	synctest.Test(t, func(t *testing.T) {
		m := New(limits, Train)
		ctx := With(t.Context(), m)
		stop := m.Watch(Callbacks{
			OnStall:   func(s *Stall) { t.Errorf("%v", s) },
			OnWaiting: func(waitsFor string) { told = append(told, waitsFor) },
		})
		for _, wait := range []struct {
			name  string
			takes time.Duration
		}{{"short", time.Second}, {"long", 50 * time.Second}, {"other", 20 * time.Second}} {
			a := Wait(ctx, wait.name, time.Hour)
			pause(ctx, wait.takes)
			a.End()
		}
		pause(ctx, minute)
		stop()
	})
	if want := []string{"long", "long", "", "other", ""}; !slices.Equal(told, want) {
		t.Errorf("reported %q, want %q", told, want)
	}
}

// TestCounted: bytes and the looks at a context count for the activity of the
// context. Without a monitor nothing is counted and nothing fails.
func TestCounted(t *testing.T) {
	t.Parallel()
	m := New(limits, Fetch)
	ctx, a := Enter(With(t.Context(), m), Upload)
	if n, err := io.Copy(io.Discard, Reader(ctx, strings.NewReader("hello"))); n != 5 || err != nil {
		t.Fatal(n, err)
	}
	if n := a.counted.Load(); n != 5 {
		t.Errorf("%d bytes counted, want 5", n)
	}
	cancelled, cancel := context.WithCancelCause(ctx)
	why := errors.New("why")
	cancel(why)
	if polled := Polled(cancelled); polled.Err() == nil || !errors.Is(context.Cause(polled), why) || a.counted.Load() < 6 {
		t.Errorf("%d counted", a.counted.Load())
	}
	if n := m.job.Load().counted.Load(); n != 0 {
		t.Errorf("%d counted around the upload", n)
	}
	Advance(With(ctx, m), 2)
	if n := m.job.Load().counted.Load(); n != 2 {
		t.Errorf("%d counted for the job, want 2", n)
	}

	bare, none := Enter(t.Context(), Upload)
	Advance(bare, 1)
	none.Advance(1)
	none.End()
	Wait(bare, "x", 0).End()
	if r := strings.NewReader("x"); Reader(bare, r) != io.Reader(r) {
		t.Error("a reader without a monitor is wrapped")
	}
	var no *Monitor
	no.SetStage(Load)
	no.Advance(1)
	no.Step()
	if no.Retire(Finish) != nil || no.Stall() != nil {
		t.Error("no monitor has a stall")
	}
}

// TestMonitorConcurrently: activities open and end on many goroutines, beside
// looks.
func TestMonitorConcurrently(t *testing.T) {
	t.Parallel()
	m := New(Limits{Train: time.Hour}, Train)
	ctx := With(t.Context(), m)
	stop := m.Watch(Callbacks{OnStall: func(s *Stall) { t.Errorf("%v", s) }})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				inner, a := Enter(ctx, Upload)
				Advance(inner, 1)
				Wait(inner, "x", time.Hour).End()
				a.End()
				m.Step()
				m.look()
			}
		})
	}
	all.Wait()
	stop()
	if s := &m.state; len(s.open) != 1 || s.open[0].steps.Load() != 1600 {
		t.Errorf("%d activities are open, %d steps", len(s.open), s.open[0].steps.Load())
	}
}

// TestStacks: the stacks are those of the goroutines of one job alone, and of those that
// it started, and are bounded.
func TestStacks(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var all sync.WaitGroup
	for _, job := range []string{"r/train/1", "r/train/12"} {
		for range 3 {
			hung := make(chan struct{})
			all.Go(func() {
				Labelled(t.Context(), job, func(context.Context) {
					all.Go(func() {
						close(hung)
						hangHere(release)
					})
				})
			})
			<-hung
		}
	}
	all.Go(func() { Labelled(t.Context(), "deep", func(context.Context) { deep(2000, release) }) })
	s := ""
	for !strings.Contains(s, "hangHere") { // it is about to get there
		s = Stacks("r/train/1")
	}
	if strings.Contains(s, "TestStacks\n") || strings.Contains(s, "0x") || len(s) > maxStacks || !strings.Contains(s, "monitor_test.go:") {
		t.Errorf("the stacks are\n%s", s)
	}
	if s := Stacks("another"); s != "" {
		t.Errorf("the stacks of no job are\n%s", s)
	}
	for !strings.Contains(s, "deep") {
		s = Stacks("deep")
	}
	if n := strings.Count(s, "\n"); n > 60 || len(s) > maxStacks {
		t.Errorf("%d lines, %d bytes", n, len(s))
	}
	close(release)
	all.Wait()
}

func hangHere(release chan struct{}) { <-release }

func deep(n int, release chan struct{}) {
	if n > 0 {
		deep(n-1, release)
	}
	<-release
}

// TestDoing: a stall names what was begun last and is not over, of the innermost activity
// that named anything.
func TestDoing(t *testing.T) {
	t.Parallel()
	hang := func(ctx context.Context) { pause(ctx, 100*time.Hour) }
	for name, c := range map[string]struct {
		work func(ctx context.Context, m *Monitor)
		want string
	}{
		"nothing": {func(ctx context.Context, _ *Monitor) { hang(ctx) }, ""},
		"a stage": {func(ctx context.Context, _ *Monitor) {
			defer Doing(ctx, "reading rows.jsonl")()
			hang(ctx)
		}, "reading rows.jsonl"},
		"the inner one": {func(ctx context.Context, _ *Monitor) {
			defer Doing(ctx, "saving a checkpoint")()
			ctx, a := Enter(ctx, Upload)
			defer a.End()
			defer Doing(ctx, "storing model.safetensors in s3://bucket")()
			hang(ctx)
		}, "storing model.safetensors in s3://bucket"},
		"the outer one, if the inner one says nothing": {func(ctx context.Context, _ *Monitor) {
			defer Doing(ctx, "saving a checkpoint")()
			ctx, a := Enter(ctx, Upload)
			defer a.End()
			hang(ctx)
		}, "saving a checkpoint"},
		"what is not over": {func(ctx context.Context, _ *Monitor) {
			first := Doing(ctx, "the first file")
			second := Doing(ctx, "the second file")
			third := Doing(ctx, "the third file")
			second()
			second()
			third()
			hang(ctx)
			first()
		}, "the first file"},
		"another stage": {func(ctx context.Context, m *Monitor) {
			defer Doing(ctx, "reading rows.jsonl")()
			m.SetStage(Load)
			hang(ctx)
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stall, _ := watched(t, limits, Fetch, c.work)
			if stall == nil || stall.Doing != c.want {
				t.Fatalf("the stall is %+v", stall)
			}
			if text := stall.Error(); strings.Contains(text, " while ") != (c.want != "") || !strings.HasSuffix(text, c.want) {
				t.Errorf("it says %q", text)
			}
		})
	}
	Doing(context.Background(), "work that nobody watches")()
}
