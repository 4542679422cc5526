package runsummary_test

import (
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// TestShortfall: a run that came to its end and missed a gate, or went on behind a failed
// phase, is partial, and says why.
func TestShortfall(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]*events.PipelineCompleted{
		"":                            {Conclusion: events.Success, Gates: []events.Gate{{Metric: "chrf", Met: true}}},
		"gate exact_match was missed": {Conclusion: events.Success, Gates: []events.Gate{{Metric: "chrf", Met: true}, {Metric: "exact_match"}}},
		"gate chrf was missed, inference failed and the run went on": {Conclusion: events.Success, Gates: []events.Gate{{Metric: "chrf"}}, FailedPhases: []events.Phase{events.Inference}},
	} {
		run := events.Run{Completed: c}
		if got := runsummary.Shortfall(run); got != want || (runsummary.OutcomeOf(run) == runsummary.Partial) != (want != "") {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := runsummary.Shortfall(events.Run{Completed: &events.PipelineCompleted{Conclusion: events.Failure, Gates: []events.Gate{{Metric: "chrf"}}}}); got != "" {
		t.Errorf("a failed run: %q", got)
	}
}
