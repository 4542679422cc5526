package tracker

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/services/tracker/duequeue"
	"github.com/tunebus/tunebus/services/tracker/report/runlist"
)

// expectDue checks which run is due, "" for none.
func expectDue(t *testing.T, s *Service, at time.Time, want string) {
	t.Helper()
	if run, _, ok := s.due.Pop(at, false); run != want || ok != (want != "") {
		t.Errorf("due: %q, %v; want %q", run, ok, want)
	}
}

// TestHandleFact: the end of a run makes it due at once, another fact after a
// delay, and an invalid subject is a dead letter.
func TestHandleFact(t *testing.T) {
	t.Parallel()
	s := &Service{due: duequeue.New(time.Hour), quietPeriod: time.Hour}
	handle := func(subject string) error {
		return s.handleFact(t.Context(), delivery.Delivery{Message: codec.Message{Subject: subject}})
	}
	if err := errors.Join(handle(accepted.Subject()), handle("pipeline.completed.done")); err != nil {
		t.Fatal(err)
	}
	expectDue(t, s, time.Now(), "done")
	expectDue(t, s, time.Now(), "")
	expectDue(t, s, time.Now().Add(time.Hour), "r")
	if _, ok := errors.AsType[*delivery.DeadLetterError](handle("nonsense")); !ok {
		t.Error("an invalid subject is no dead letter")
	}
}

type untracked []string

func (u untracked) Untracked(context.Context) ([]string, error) { return u, nil }

// TestStartDue: every due run is reconciled, as many at the same time as there
// are slots, and one whose lease is taken is scheduled again.
func TestStartDue(t *testing.T) {
	t.Parallel()
	w := &fakeWriter{}
	s := &Service{
		runs:       untracked{"a", "b", "c"},
		due:        duequeue.New(time.Hour),
		reconciler: &newFixture(stored(accepted), w).reconciler,
		slots:      1,
		log:        slog.New(slog.DiscardHandler),
	}
	s.reconciler.leases.withLease = (&takenLeases{taken: 1}).withLease
	if err := s.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	slots := make(chan struct{}, s.slots)
	var writing sync.WaitGroup
	for range 3 {
		s.startDue(t.Context(), slots, &writing, false)
		writing.Wait()
	}
	if w.writes() != 2 {
		t.Errorf("%d runs were written, want 2", w.writes())
	}
	if _, _, ok := s.due.Pop(time.Now().Add(time.Second), false); !ok {
		t.Error("the run whose lease is taken is not scheduled again")
	}
}

// TestFactsAreAwaited: a run stays in the queue until its facts are read with the one that
// scheduled it.
func TestFactsAreAwaited(t *testing.T) {
	t.Parallel()
	s := &Service{due: duequeue.New(time.Hour), reconciler: &newFixture(stored(accepted), &fakeWriter{}).reconciler, slots: 1, log: slog.New(slog.DiscardHandler)}
	if err := s.handleFact(t.Context(), delivery.Delivery{Message: codec.Message{Subject: completed.Subject(), Sequence: 2}}); err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	s.startDue(t.Context(), make(chan struct{}, 1), &writing, false)
	writing.Wait()
	if run, newest, ok := s.due.Pop(time.Now().Add(behindRetry), false); run != "r" || newest != 2 || !ok {
		t.Errorf("%q, %d, %v", run, newest, ok)
	}
}

// TestScheduleUnfinished: half of a report that a killed tracker left goes also
// if another tracker has written the run.
func TestScheduleUnfinished(t *testing.T) {
	t.Parallel()
	w := &fakeWriter{}
	s := &Service{
		due:        duequeue.New(time.Hour),
		reconciler: &newFixture(stored(accepted, completed, tracked), w).reconciler,
		reports:    t.TempDir(),
		slots:      1,
		log:        slog.New(slog.DiscardHandler),
	}
	reports := &reportWriter{dir: s.reports, homeOf: Config{Reports: s.reports}.homeOf}
	left := filepath.Join(s.reports, "r", ".tmp-1")
	err := errors.Join(os.Mkdir(filepath.Dir(left), 0o750), os.WriteFile(left, nil, 0o600), os.Mkdir(filepath.Join(s.reports, "whole"), 0o750))
	if err != nil {
		t.Fatal(err)
	}
	s.scheduleUnfinished()
	var writing sync.WaitGroup
	s.startDue(t.Context(), make(chan struct{}, s.slots), &writing, false)
	writing.Wait()
	if !slices.Equal(w.tidied, []string{"r"}) || w.writes() != 0 {
		t.Errorf("tidied %q, %d written", w.tidied, w.writes())
	}
	if err := reports.tidy(events.Run{ID: "r"}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the temporary file is left: %v", err)
	}
}

// unlisted does not answer at first.
type unlisted struct{ asked int }

func (u *unlisted) Untracked(ctx context.Context) ([]string, error) {
	u.asked++
	if u.asked > 1 {
		return []string{"untracked"}, nil
	}
	select {
	case <-time.After(30 * time.Second):
		return nil, errors.New("no reply")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestRunWritesDuringASweep: a run whose fact came is written while NATS does not
// list the untracked runs, and the list is asked for again soon.
func TestRunWritesDuringASweep(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		w := &fakeWriter{}
		publisher, _ := newPublisher(&steps{})
		s := &Service{
			runs:       &unlisted{},
			due:        duequeue.New(time.Hour),
			reconciler: &newFixture(stored(accepted), w).reconciler,
			completion: publisher,
			index: runIndexer{
				update: func(context.Context) (bool, error) { return true, nil },
				lease:  func(context.Context, func(context.Context) error) error { return lease.ErrTaken },
				log:    slog.New(slog.DiscardHandler),
			},
			list:  runlist.NewBuffer(""),
			slots: 1,
			log:   slog.New(slog.DiscardHandler),
		}
		var running sync.WaitGroup
		running.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		s.due.ScheduleNow("r", 0)
		time.Sleep(time.Second)
		synctest.Wait()
		if w.writes() != 1 {
			t.Errorf("%d runs were written during the listing, want 1", w.writes())
		}
		time.Sleep(30*time.Second + sweepRetry)
		synctest.Wait()
		if w.writes() != 2 {
			t.Errorf("%d runs were written after the listing, want 2", w.writes())
		}
		stop()
		running.Wait()
	})
}
