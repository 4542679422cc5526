package events_test

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestNumbersThatJSONHasNot: NaN and the infinities are left out of every event, so
// that it can be encoded; a phase says which, and a gate on one is missed.
func TestNumbersThatJSONHasNot(t *testing.T) {
	t.Parallel()
	odd := map[string]float64{"good": 0.5, "nan": math.NaN(), "inf": math.Inf(1), "minus": math.Inf(-1)}
	points := []events.Point{{Key: "loss", Value: math.NaN()}, {Key: "loss", Value: 1, Step: 2}}
	gates := []events.Gate{{Metric: "a", Score: math.NaN(), Met: true}, {Metric: "b", AtLeast: math.Inf(1), Met: true}, {Metric: "c", Met: true}}
	for _, ev := range []events.Event{
		events.PhaseCompleted{Phase: events.Evaluation, Statistics: odd, Scores: odd, BaselineScores: odd, Gates: gates, Notes: []string{"first"}},
		events.PipelineCompleted{Scores: odd, BaselineScores: odd, Gates: gates},
		events.Progress{Points: points},
		events.Telemetry{Points: points},
	} {
		bounded := events.Bound(ev)
		if _, err := json.Marshal(bounded); err != nil {
			t.Errorf("%T: %v", ev, err)
		}
		var scores map[string]float64
		var met []events.Gate
		switch e := bounded.(type) {
		case events.PhaseCompleted:
			scores, met = e.Scores, e.Gates
			if len(e.Statistics) != 1 || len(e.Notes) != 4 || e.Notes[0] != "first" ||
				!strings.Contains(e.Notes[1], "statistics are no finite numbers and were left out: inf, minus, nan") {
				t.Errorf("statistics %v, notes %q", e.Statistics, e.Notes)
			}
		case events.PipelineCompleted:
			scores, met = e.Scores, e.Gates
		case events.Progress:
			if len(e.Points) != 1 || e.Points[0].Step != 2 {
				t.Errorf("points %+v", e.Points)
			}
			continue
		default:
			continue
		}
		if len(scores) != 1 || scores["good"] != 0.5 {
			t.Errorf("%T: scores %v", ev, scores)
		}
		if met[0].Met || met[1].Met || !met[2].Met || met[0].Reason == "" || met[1].Reason == "" {
			t.Errorf("%T: gates %+v", ev, met)
		}
	}
	if len(odd) != 4 || !math.IsNaN(points[0].Value) {
		t.Error("the event itself was changed")
	}
	if all := events.SplitPoints(points); len(all) != 1 || len(all[0]) != 1 {
		t.Errorf("split into %+v", all)
	}
}

func TestCoverageShare(t *testing.T) {
	t.Parallel()
	for c, want := range map[events.Coverage]float64{{}: 0, {Rows: 4}: 0, {Scored: 1, Rows: 4}: 0.25, {Scored: 4, Rows: 4}: 1} {
		if got := c.Share(); got != want {
			t.Errorf("%+v is %v, want %v", c, got, want)
		}
	}
}
