//go:build !failpoint

package failpoint_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// TestWithoutTheTag: in a released program the points have no effect and no cost,
// whatever the environment contains.
func TestWithoutTheTag(t *testing.T) {
	var ev events.Event = events.PipelineCompleted{}
	r := strings.NewReader("text")
	for _, name := range failpoint.All() {
		t.Setenv(failpoint.Variable, string(name))
		cost := testing.AllocsPerRun(10, func() {
			failpoint.Here(name)
			failpoint.Publishing(ev)
			failpoint.Published(ev)
		})
		if cost != 0 || failpoint.Reader(name, r) != r {
			t.Errorf("%s costs %v allocations", name, cost)
		}
	}
}
