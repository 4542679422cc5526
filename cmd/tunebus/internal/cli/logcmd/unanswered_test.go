package logcmd_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestLogsAskAgain: an answer that gets lost, whether the run is looked for or its log is read, is
// asked for again, and no line is written twice.
func TestLogsAskAgain(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	b := bustest.Connect(t, server)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	facts := clitest.EndedRun("r")
	clitest.Publish(t, b, facts[:3]...)
	publishLines(t, b, "r", 1, "the first")
	clitest.Publish(t, b, facts[3:]...)
	_, want, _ := clitest.Run(t, "logs", "r", "--server", server.URL())
	for _, occurrence := range []int{1, 2, 3} {
		t.Run(fmt.Sprint(occurrence), func(t *testing.T) {
			t.Parallel()
			proxy := bustest.NewFaultProxy(t, server.URL(), bustest.Fault{Op: conn.GetBatch, Occurrence: occurrence, Stored: true})
			status, out, screen := clitest.Run(t, "logs", "r", "--server", proxy.URL)
			if !proxy.Struck() || status != 0 || out != want || strings.Count(out, "the first") != 1 || !strings.Contains(screen, "does not answer; asking again") {
				t.Errorf("struck %v, status %d\n%s\n%s", proxy.Struck(), status, screen, out)
			}
		})
	}
}
