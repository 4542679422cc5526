package cli_test

import (
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// TestWithoutJetStream: each verb on a server that keeps no streams says so in one
// sentence.
func TestWithoutJetStream(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Chdir(t.TempDir())
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() {
		ns.Shutdown()
		ns.WaitForShutdown()
	})
	if !ns.ReadyForConnections(time.Minute) {
		t.Fatal("the server did not start")
	}
	const says = "JetStream is off on the server at "
	for _, v := range append(runVerbs(), folderVerbs()...) {
		args := append(v.args(t, "last"), "--server", ns.ClientURL())
		if status, out, screen := clitest.RunWithInput(t, strings.NewReader(""), args...); status != 1 || strings.Count(screen, says) != 1 || strings.Contains(out+screen, "nats:") {
			t.Errorf("%s: status %d\n%s%s", v.name, status, out, screen)
		}
	}
	if status, out, _ := clitest.Run(t, "doctor", "--server", ns.ClientURL()); status != 1 || strings.Count(out, says) != 1 || strings.Contains(out, "nats:") {
		t.Errorf("doctor: status %d\n%s", status, out)
	}
}
