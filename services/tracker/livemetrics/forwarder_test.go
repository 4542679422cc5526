package livemetrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// stream holds the metric events of one phase, with sequences from 1.
type stream struct {
	events []events.Event
	read   int
}

func (s *stream) Read(_ context.Context, each func(events.Event)) error {
	for _, ev := range s.events[s.read:] {
		each(ev)
	}
	s.read = len(s.events)
	return nil
}

func (s *stream) HasRead(m codec.Message) bool { return m.Sequence <= uint64(s.read) }

// publish adds an event with one point, and returns its delivery.
func (s *stream) publish(key string, step int64) delivery.Delivery {
	ev := events.Progress{RunID: "r", Phase: events.Finetune, Points: []events.Point{{Key: key, Step: step}}}
	s.events = append(s.events, ev)
	return delivery.Delivery{Message: codec.Message{Event: ev, Sequence: uint64(len(s.events))}}
}

// logger is an MLflow run that records its points as "<key> <step>".
type logger struct {
	points []string
	calls  int
	err    error
}

func (l *logger) LogMetrics(_ context.Context, _ string, points []mlflow.Metric) error {
	l.calls++
	for _, p := range points {
		l.points = append(l.points, fmt.Sprint(p.Key, " ", p.Step))
	}
	return l.err
}

// newForwarder forwards from s; it counts the requests for a sync.
func newForwarder(s *stream) (f *Forwarder, requests *int, log *strings.Builder) {
	requests, log = new(int), &strings.Builder{}
	readerOf := func(string, events.Phase) Reader { return s }
	return New(readerOf, func(string) { *requests++ }, slog.New(slog.NewTextHandler(log, nil))), requests, log
}

// TestHandleForwardsTheStream: one event forwards all new points of its phase,
// and a step that comes again adds nothing.
func TestHandleForwardsTheStream(t *testing.T) {
	t.Parallel()
	s, to := &stream{}, &logger{}
	f, requests, _ := newForwarder(s)
	f.Attach("r", events.Finetune, to, "id")
	first := s.publish("loss", 1)
	s.publish("loss", 2)
	late := s.publish("loss", 1) // of another attempt
	other := s.publish("rate", 1)
	for _, d := range []delivery.Delivery{first, late, other, s.publish("loss", 3)} {
		if err := f.Handle(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"loss 1", "loss 2", "rate 1", "loss 3"}; !slices.Equal(to.points, want) {
		t.Errorf("points %q, want %q", to.points, want)
	}
	if to.calls != 1 || *requests != 0 {
		t.Errorf("%d calls, %d requests for a sync", to.calls, *requests)
	}
}

// TestHandleDropsSamplesOfAStaleWorker: a worker that lost its job and does not
// know it yet goes on with its samples. The metric history lacks them.
func TestHandleDropsSamplesOfAStaleWorker(t *testing.T) {
	t.Parallel()
	s, to := &stream{}, &logger{}
	f, _, _ := newForwarder(s)
	f.Attach("r", events.Finetune, to, "id")
	sample := func(attempt int, number int64) {
		ev := events.Telemetry{RunID: "r", Phase: events.Finetune, Attempt: attempt, Points: []events.Point{{Key: "cpu", Step: number}}}
		s.events = append(s.events, ev)
		d := delivery.Delivery{Message: codec.Message{Event: ev, Sequence: uint64(len(s.events))}}
		if err := f.Handle(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	sample(1, 0)
	sample(2, 1)
	sample(1, 2)
	sample(2, 3)
	if want := []string{"system/cpu 0", "system/cpu 1", "system/cpu 3"}; !slices.Equal(to.points, want) {
		t.Errorf("points %q, want %q", to.points, want)
	}
}

// TestHandleBeforeTheRunIsInMLflow: the event is asked for again, and the run
// is synced.
func TestHandleBeforeTheRunIsInMLflow(t *testing.T) {
	t.Parallel()
	s, to := &stream{}, &logger{}
	f, requests, _ := newForwarder(s)
	d := s.publish("loss", 1)
	err := f.Handle(t.Context(), d)
	if later, ok := errors.AsType[*delivery.RetryAfter](err); !ok || later.Delay != time.Second || *requests != 1 {
		t.Errorf("error %v, %d requests for a sync", err, *requests)
	}
	f.Attach("r", events.Finetune, to, "id")
	if err := f.Handle(t.Context(), d); err != nil || len(to.points) != 1 {
		t.Errorf("error %v, points %q", err, to.points)
	}
}

// TestHandleAfterTheEnd: the points of a phase that is completed, or of a run
// that is tracked, come with its history.
func TestHandleAfterTheEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Forwarder){
		"detached": func(f *Forwarder) { f.Detach("r", events.Finetune) },
		"dropped":  func(f *Forwarder) { f.Drop("r") },
	} {
		s, to := &stream{}, &logger{}
		f, requests, _ := newForwarder(s)
		end(f)
		f.Attach("r", events.Finetune, to, "id") // by a sync that began before
		if err := f.Handle(t.Context(), s.publish("loss", 1)); err != nil || to.calls != 0 || *requests != 0 {
			t.Errorf("%s: %v, %d calls, %d requests for a sync", name, err, to.calls, *requests)
		}
	}
}

// TestHandleWithoutPoints: an event without points is done at once.
func TestHandleWithoutPoints(t *testing.T) {
	t.Parallel()
	f, requests, _ := newForwarder(&stream{})
	ev := events.Progress{RunID: "r", Phase: events.Finetune}
	if err := f.Handle(t.Context(), delivery.Delivery{Message: codec.Message{Event: ev}}); err != nil || *requests != 0 {
		t.Errorf("error %v, %d requests for a sync", err, *requests)
	}
}

// TestHandleLogsRefusals: points that are refused are logged, and are not asked
// for again. While MLflow is away nothing is logged.
func TestHandleLogsRefusals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		logged bool
	}{{errors.New("refused"), true}, {fmt.Errorf("log metrics: %w", mlflow.ErrUnavailable), false}} {
		s := &stream{}
		f, _, log := newForwarder(s)
		f.Attach("r", events.Finetune, &logger{err: c.err}, "id")
		if err := f.Handle(t.Context(), s.publish("loss", 1)); err != nil || strings.Contains(log.String(), "metric points not written") != c.logged {
			t.Errorf("%v: %v, log %q", c.err, err, log)
		}
	}
}

// TestDropForgets: a dropped run is remembered for ten minutes.
func TestDropForgets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, _, _ := newForwarder(&stream{})
		f.Drop("old")
		time.Sleep(11 * time.Minute)
		f.Drop("new")
		if _, s := f.lookup("old", events.Finetune); s != unknown {
			t.Errorf("the old run is in state %d", s)
		}
		if _, s := f.lookup("new", events.Finetune); s != detached {
			t.Errorf("the new run is in state %d", s)
		}
	})
}
