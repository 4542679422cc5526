package showcmd_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestHintsCanBeTyped: what "show" and "watch" tell to type names the run and where
// it lies, and holds no word that a person has to replace.
func TestHintsCanBeTyped(t *testing.T) {
	t.Parallel()
	facts := clitest.EndedRun("broken")
	for i, fact := range facts {
		if end, ok := fact.(events.PipelineCompleted); ok {
			end.Conclusion = events.Failure
			facts[i] = end
		}
	}
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	b := bustest.Connect(t, server)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	clitest.Publish(t, b, facts...)
	folder := clitest.NewDataFolder(t)
	folder.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, facts...) })
	for _, c := range []struct{ command, flag, value string }{
		{"show", "--server", server.URL()},
		{"watch", "--server", server.URL()},
		{"show", "--data", folder.Dir},
	} {
		hint := "mend what the error names, a key by --set KEY=VALUE behind this, then:\n    tunebus rerun broken " + c.flag + " " + c.value + "\n"
		_, out, screen := clitest.Run(t, c.command, "broken", c.flag, c.value)
		if !strings.Contains(out, hint) || strings.Contains(out, "use again what is finished") {
			t.Errorf("%s %s: want %q, and no second hint, got\n%s%s", c.command, c.flag, hint, out, screen)
		}
	}
}
