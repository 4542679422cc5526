package showcmd_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestRunsAreInTheOrderOfTheRequests: intake accepts some requests at the same time, so the
// order of the accepted facts is another one.
func TestRunsAreInTheOrderOfTheRequests(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	b := bustest.Connect(t, server)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	at := time.Now().Add(-time.Hour).Truncate(time.Second)
	const runs, together = 120, 4
	for i := range runs {
		i = i - i%together + together - 1 - i%together // the last of each four comes first
		clitest.Publish(t, b, events.PipelineAccepted{RunID: fmt.Sprintf("r%03d", i), RequestedAt: at.Add(time.Duration(i) * 100 * time.Microsecond)})
	}
	for _, limit := range []int{0, 3, runs} {
		status, out, screen := clitest.Run(t, "runs", "--limit", fmt.Sprint(limit), "--server", server.URL())
		lines := strings.Split(strings.TrimSpace(out), "\n")[1:]
		want := runs
		if limit > 0 {
			want = limit
		}
		if status != 0 || len(lines) != want {
			t.Fatalf("--limit %d: status %d, %d runs\n%s", limit, status, len(lines), screen)
		}
		for i, line := range lines {
			if id := fmt.Sprintf("r%03d ", runs-1-i); !strings.HasPrefix(line, id) {
				t.Fatalf("--limit %d: line %d is %s, want %s", limit, i, line, id)
			}
		}
	}
}
