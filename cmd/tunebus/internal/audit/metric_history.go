package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/events"
)

// metricsName is the name of the artifact with the metric history of a phase.
const metricsName = "metrics"

// metricHistory reads the metric history that a completed phase stored: the
// points of each metric by step. It checks that no step is there twice, and that
// the loss of a training has all steps.
func (a trackingAudit) metricHistory(r *runHistory, p events.Phase, completed events.PhaseCompleted) map[string]map[int64]snapshot.Point {
	ref, ok := completed.Artifact(metricsName)
	if !ok {
		return nil
	}
	out := map[string]map[int64]snapshot.Point{}
	dec := json.NewDecoder(bytes.NewReader(a.objects[ref.Key].Content))
	for {
		var point events.Point
		if err := dec.Decode(&point); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			a.add(Torn, ref.Key, "cannot be read: %v", err)
			break
		}
		steps := out[point.Key]
		if steps == nil {
			steps = map[int64]snapshot.Point{}
			out[point.Key] = steps
		}
		if _, exists := steps[point.Step]; exists {
			a.add(Duplicated, ref.Key, "has step %d of %s twice", point.Step, point.Key)
		}
		steps[point.Step] = snapshot.Point{Value: point.Value, Step: point.Step, Time: point.Time.UnixMilli()}
	}
	if p == events.Finetune && r.accepted.Specification.FineTuner.LogSteps == 1 {
		for step := int64(1); step <= int64(completed.Statistics["total_training_steps"]); step++ {
			if _, ok := out["loss"][step]; !ok {
				a.add(Lost, ref.Key, "has no step %d of loss", step)
			}
		}
	}
	return out
}
