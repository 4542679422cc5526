package intake_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/intake"
)

// TestLimits: a request above the limits of the installation is rejected with
// all values that are too large. The accepted event has the values for the keys
// that the request leaves empty.
func TestLimits(t *testing.T) {
	t.Parallel()
	f := open(t, intake.Config{Limits: spec.Limits{MaxTries: 4, Timeout: time.Hour}}, topology.Topology{})
	submit := func(id string, tries int, timeout string) uint64 {
		return f.request(t, events.PipelineRequested{RunID: id, Specification: specification(t, map[string]map[string]any{
			"pipeline": {"max_tries": tries, "backoff": "10m"}, "inferencer": {"timeout": timeout},
		})})
	}
	faults := f.faults(t, submit("greedy", 5, "2h"))
	if got := strings.Join(slices.Sorted(maps.Keys(faults)), " "); got != "inferencer.timeout pipeline.max_tries" {
		t.Errorf("faults of %s", got)
	}
	if fault := faults["inferencer.timeout"]; fault.Value != "2h" || fault.Allowed != "up to 1h" || !strings.Contains(fault.Message, "limits.timeout") {
		t.Errorf("fault %+v", fault)
	}
	submit("modest", 4, "30m")
	s := f.accepted(t, "modest").Accepted.Specification
	if s.FineTuner.Timeout != "1h" || s.Inferencer.Timeout != "30m" || s.Pipeline.MaxTries != 4 || s.Pipeline.Backoff != "10m" || s.Pipeline.Deadline != "" {
		t.Errorf("accepted: timeouts %q and %q, %+v", s.FineTuner.Timeout, s.Inferencer.Timeout, s.Pipeline)
	}
}
