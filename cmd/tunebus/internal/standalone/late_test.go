package standalone_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/standalone"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// TestALateAttemptIsHeardFirst: an attempt that lost its job goes on for a
// moment without knowing, and announces a step after its successor has looked
// what there was, but before that does the step, too. Everybody agrees on the
// point that was announced first: the history, and MLflow, where it stands
// once.
func TestALateAttemptIsHeardFirst(t *testing.T) {
	t.Parallel()
	const steps = 5
	dir := t.TempDir()
	var l *standalone.Local
	loss := func(attempt, step int64) events.Point {
		return events.Point{Key: "loss", Value: float64(attempt), Step: step, Time: time.Now().UTC()}
	}
	late := func(ctx context.Context) {
		said := events.Progress{RunID: "r", Phase: events.Finetune, Attempt: 1, Step: 3, Points: []events.Point{loss(1, 3)}}
		if err := journal.New(l.Bus).PublishMetric(ctx, said); err != nil {
			t.Error(err)
		}
		waitFor(t, "the late announcement", func() bool {
			stored := false
			err := history.New(l.Bus).Metrics("r", events.Finetune).Read(ctx, func(ev events.Event) {
				p, ok := ev.(events.Progress)
				stored = stored || ok && p.Attempt == 1 && p.Step == 3
			})
			return err == nil && stored
		})
	}
	e := noops()
	e[events.Finetune] = engine.Func(func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		for step := int64(1); step <= steps; step++ {
			if job.Attempt == 1 && step == 3 {
				return engine.Result{}, errors.New("it breaks")
			}
			if step == 3 {
				late(ctx)
			}
			if err := job.Progress(ctx, step, steps, loss(int64(job.Attempt), step)); err != nil {
				return engine.Result{}, err
			}
		}
		return engine.Result{}, nil
	})
	l = tracked(t, standalone.Config{Engines: e}, dir)
	request(t, l, "r", map[string]map[string]any{"pipeline": {"backoff": "10ms"}})
	run := ended(t, l, "r", true)
	want := []string{"1 1", "1 2", "1 3", "2 4", "2 5"} // attempt and step
	ref, ok := run.Phases[events.Finetune].Completed.Artifact(events.ArtifactMetrics)
	if !ok {
		t.Fatal("the phase has no history")
	}
	r, err := l.Store.Get(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var history []string
	for dec := json.NewDecoder(r); dec.More(); {
		var p events.Point
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		history = append(history, fmt.Sprint(p.Value, p.Step))
	}
	body, err := os.ReadFile(filepath.Join(child(t, dir, "r", "finetune"), "metrics", "loss"))
	if err != nil {
		t.Fatal(err)
	}
	var shown []string
	for line := range strings.Lines(string(body)) {
		fields := strings.Fields(line) // time, value, step
		shown = append(shown, fields[1]+" "+fields[2])
	}
	for what, got := range map[string][]string{"the history": history, "MLflow": shown} {
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s has %v, want %v", what, got, want)
		}
	}
}
