package metrics_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// folder is a scratch folder that counts its uses.
type folder struct {
	dir  string
	uses int
}

func (f *folder) Path(name string) (string, error) {
	f.uses++
	return filepath.Join(f.dir, name), nil
}

// stream is a metrics stream in memory.
type stream struct {
	mu        sync.Mutex
	published []events.Event
	err       error // of every call
}

func (s *stream) PublishMetric(_ context.Context, ev events.Event) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.published = append(s.published, ev)
	return s.err
}

func (s *stream) ReadMetrics(_ context.Context, _ string, _ events.Phase, each func(events.Event)) error {
	for _, ev := range s.published {
		each(ev)
	}
	return s.err
}

func config(f *folder, s *stream) metrics.Config {
	return metrics.Config{RunID: "r", Phase: events.Finetune, Attempt: 1, Folder: f, Publisher: s, Reader: s}
}

// loss is a point of the metric loss.
func loss(step int64, value float64) events.Point {
	return events.Point{Key: "loss", Step: step, Value: value, Time: time.Unix(step, 0)}
}

// progress is a published batch of one point.
func progress(attempt int, p events.Point) events.Progress {
	return events.Progress{RunID: "r", Phase: events.Finetune, Attempt: attempt, Step: p.Step, Points: []events.Point{p}}
}

// read shows the points of a history as key:step=value.
func read(t *testing.T, path string) string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out []string
	for dec := json.NewDecoder(f); dec.More(); {
		var p events.Point
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprintf("%s:%d=%g", p.Key, p.Step, p.Value))
	}
	return strings.Join(out, " ")
}

// TestRecorder: the history holds every point; progress is published in
// batches, the last of them at the end.
func TestRecorder(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, s := &folder{dir: t.TempDir()}, &stream{}
		r, err := metrics.Start(t.Context(), config(f, s))
		if err != nil {
			t.Fatal(err)
		}
		given := []events.Point{{Key: "loss", Value: 1}}
		for step := int64(1); step <= 10; step++ {
			if err := r.Record(t.Context(), step, 20, given); err != nil {
				t.Fatal(err)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if given[0].Step != 0 || !given[0].Time.IsZero() {
			t.Errorf("the caller's point became %+v", given[0])
		}
		path, err := r.Finish(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(read(t, path), "loss:"); got != 10 {
			t.Errorf("%d points in the history", got)
		}
		points := 0
		for _, ev := range s.published {
			p := ev.(events.Progress)
			points += len(p.Points)
			if p.Step > 1 && p.RemainingSeconds == 0 {
				t.Errorf("no estimate at step %d", p.Step)
			}
		}
		if len(s.published) != 4 || points != 10 { // after 0, 300, 600 and 900 ms
			t.Errorf("%d batches with %d points", len(s.published), points)
		}
	})
}

// TestRecorderNoNumbers: a value that JSON has not is left out and fails nothing.
func TestRecorderNoNumbers(t *testing.T) {
	t.Parallel()
	f, s := &folder{dir: t.TempDir()}, &stream{}
	r, err := metrics.Start(t.Context(), config(f, s))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Record(t.Context(), 1, 2, []events.Point{loss(1, math.NaN()), loss(2, 0.5), loss(3, math.Inf(-1))}); err != nil {
		t.Fatal(err)
	}
	path, err := r.Finish(t.Context())
	if err != nil || read(t, path) != "loss:2=0.5" {
		t.Errorf("history %s, %v", path, err)
	}
}

// TestRecorderWithoutPoints needs no scratch folder and makes no history.
func TestRecorderWithoutPoints(t *testing.T) {
	t.Parallel()
	f, s := &folder{dir: t.TempDir()}, &stream{}
	r, err := metrics.Start(t.Context(), config(f, s))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Record(t.Context(), 1, 0, nil); err != nil {
		t.Fatal(err)
	}
	path, err := r.Finish(t.Context())
	if err != nil || path != "" || f.uses != 0 {
		t.Errorf("history %q after %d uses of the folder: %v", path, f.uses, err)
	}
	r.Discard()
}

// TestRecorderInherits: a later attempt keeps the history of its checkpoint and
// the points that were published since; steps that it repeats add none.
func TestRecorderInherits(t *testing.T) {
	t.Parallel()
	checkpoint, f, s := t.TempDir(), &folder{dir: t.TempDir()}, &stream{}
	first, err := metrics.Start(t.Context(), config(&folder{dir: t.TempDir()}, s))
	if err != nil {
		t.Fatal(err)
	}
	for step := int64(1); step <= 6; step++ {
		if err := first.Record(t.Context(), step, 9, []events.Point{loss(step, 1)}); err != nil {
			t.Fatal(err)
		}
		if step == 4 {
			if err := first.Snapshot(filepath.Join(checkpoint, metrics.FileName)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.published = append(s.published, events.Telemetry{RunID: "r", Points: []events.Point{{Key: "cpu", Step: 3, Value: 50}}})

	cfg := config(f, s)
	cfg.Attempt, cfg.ResumedFrom, cfg.Checkpoint = 2, 4, checkpoint
	r, err := metrics.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	for step := int64(5); step <= 8; step++ {
		if err := r.Record(t.Context(), step, 9, []events.Point{loss(step, 2)}); err != nil {
			t.Fatal(err)
		}
	}
	path, err := r.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const want = "loss:1=1 loss:2=1 loss:3=1 loss:4=1 loss:5=1 loss:6=1 system/cpu:3=50 loss:7=2 loss:8=2"
	if got := read(t, path); got != want {
		t.Errorf("history %s\nwant    %s", got, want)
	}
}

// TestRecorderReconciles: points that a lost attempt published meanwhile, before
// this attempt did, replace this attempt's in the finished history.
func TestRecorderReconciles(t *testing.T) {
	t.Parallel()
	f, s := &folder{dir: t.TempDir()}, &stream{}
	cfg := config(f, s)
	cfg.Attempt = 2
	r, err := metrics.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.published = []events.Event{progress(1, loss(1, 1)), progress(1, loss(3, 1))}
	for step := int64(1); step <= 2; step++ {
		if err := r.Record(t.Context(), step, 3, []events.Point{loss(step, 2)}); err != nil {
			t.Fatal(err)
		}
	}
	path, err := r.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "loss:1=1 loss:2=2 loss:3=1" {
		t.Errorf("history %s", got)
	}
}

// TestRecorderLeavesLateSamplesOut: a sample that a lost attempt published behind those
// of this attempt is not in the history, also where its number is another one's.
func TestRecorderLeavesLateSamplesOut(t *testing.T) {
	t.Parallel()
	sample := func(attempt int, number int64) events.Telemetry {
		return events.Telemetry{RunID: "r", Phase: events.Finetune, Attempt: attempt, Points: []events.Point{{Key: "cpu", Step: number, Value: float64(attempt), Time: time.Unix(number, 0)}}}
	}
	f, s := &folder{dir: t.TempDir()}, &stream{}
	cfg := config(f, s)
	cfg.Attempt = 3
	s.published = []events.Event{sample(1, 0), sample(2, 1), sample(1, 2)} // that of attempt 1 is late
	r, err := metrics.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.published = append(s.published, sample(2, 2), sample(3, 3), sample(2, 4), sample(3, 4))
	path, err := r.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := read(t, path); got != "system/cpu:0=1 system/cpu:1=2 system/cpu:2=2 system/cpu:3=3 system/cpu:4=3" {
		t.Errorf("history %s", got)
	}
}

// TestRecorderWithoutStream: a stream that cannot be read costs points of
// earlier attempts, and fails nothing.
func TestRecorderWithoutStream(t *testing.T) {
	t.Parallel()
	f, s := &folder{dir: t.TempDir()}, &stream{err: errors.New("no answer")}
	cfg := config(f, s)
	cfg.Attempt = 2
	r, err := metrics.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Record(t.Context(), 1, 1, []events.Point{loss(1, 2)}); err != nil {
		t.Fatal(err)
	}
	path, err := r.Finish(t.Context())
	if err != nil || read(t, path) != "loss:1=2" {
		t.Errorf("history %q: %v", path, err)
	}
}

// TestRecorderSamples: samples of the machine count their own steps, and have
// the prefix in the history alone.
func TestRecorderSamples(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, s := &folder{dir: t.TempDir()}, &stream{}
		cfg := config(f, s)
		cfg.SampleInterval = time.Second
		value := 0.0
		cfg.Sample = func(context.Context) []events.Point {
			value++
			return []events.Point{{Key: "cpu", Value: value}}
		}
		r, err := metrics.Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2500 * time.Millisecond)
		path, err := r.Finish(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := read(t, path); got != "system/cpu:0=1 system/cpu:1=2 system/cpu:2=3" {
			t.Errorf("history %s", got)
		}
		if e := s.published[2].(events.Telemetry); e.Points[0].Key != "cpu" || e.Points[0].Step != 2 {
			t.Errorf("published %+v", e.Points)
		}
	})
}

// TestManyPointsAtOnce: points beyond the bound of an event go into several, and
// none is lost.
func TestManyPointsAtOnce(t *testing.T) {
	t.Parallel()
	s, f := &stream{}, &folder{dir: t.TempDir()}
	r, err := metrics.Start(t.Context(), config(f, s))
	if err != nil {
		t.Fatal(err)
	}
	var points []events.Point
	for i := range 1500 {
		points = append(points, events.Point{Key: fmt.Sprint(i, strings.Repeat("<", 100)), Value: 1, Time: time.Unix(1, 0)})
	}
	if err := r.Record(t.Context(), 1, 1, points); err != nil {
		t.Fatal(err)
	}
	path, err := r.Finish(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var published []string
	for _, ev := range s.published {
		for _, p := range events.Bound(ev).(events.Progress).Points {
			published = append(published, fmt.Sprintf("%s:%d=%g", p.Key, p.Step, p.Value))
		}
	}
	if history := read(t, path); strings.Join(published, " ") != history || len(published) != len(points) {
		t.Errorf("%d points in %d events, want the %d of the history", len(published), len(s.published), len(points))
	}
}

// TestPreparationIsAnnounced: warnings at once, the rows now and then, and neither in
// the history.
func TestPreparationIsAnnounced(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &stream{}
		f := &folder{dir: t.TempDir()}
		r, err := metrics.Start(t.Context(), config(f, s))
		if err != nil {
			t.Fatal(err)
		}
		for row := range int64(1000) {
			r.Preparation.Announce(t.Context(), row+1, 1000, "")
			time.Sleep(time.Millisecond) // of the bubble's clock
		}
		r.Preparation.Announce(t.Context(), 0, 0, "half of the rows are cut")
		var steps []int64
		for _, ev := range s.published {
			p := ev.(events.Progress)
			if p.Stage != events.StagePrepare || p.RunID != "r" || p.Attempt != 1 || len(p.Points) > 0 {
				t.Errorf("%+v", p)
			}
			steps = append(steps, p.Step)
		}
		last := s.published[len(s.published)-1].(events.Progress)
		if len(steps) < 4 || len(steps) > 6 || len(last.Warnings) != 1 || last.Warnings[0] != "half of the rows are cut" {
			t.Errorf("rows %v, the last is %+v", steps, last)
		}
		if path, err := r.Finish(t.Context()); path != "" || err != nil {
			t.Errorf("history %q, %v", path, err)
		}
	})
}
