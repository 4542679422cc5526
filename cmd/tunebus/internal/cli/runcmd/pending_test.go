package runcmd_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestWaitingForIntake: a run whose request no intake has looked at is known by show, runs,
// watch and cancel. What was cancelled then ends as cancelled when an intake comes. A request
// that intake has rejected, and one of a run that it has accepted, waits for nothing.
func TestWaitingForIntake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server, err := embedded.Start(t.Context(), embedded.Options{Dir: filepath.Join(dir, "nats"), Listen: "127.0.0.1:0", RelaxedSync: true})
	if err != nil {
		t.Fatal(err)
	}
	b := bustest.Connect(t, server)
	if err := topology.Apply(t.Context(), b, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	specification := json.RawMessage(`{"fine_tuner": {"base_model_id": "owner/model", "training_data_id": "owner/rows"}, "pipeline": {"stop_after_finetuning": true}}`)
	for _, id := range []string{"asked", "other", ""} {
		if _, err := journal.New(b).Publish(t.Context(), events.PipelineRequested{RunID: id, Specification: specification}, journal.Fence{}); err != nil {
			t.Fatal(err)
		}
	}
	on := []string{"--server", server.URL(), "--artifacts", "file://" + dir + "/artifacts"}
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"show", "asked"}, 0, "asked: waiting for intake since "},
		{[]string{"show", "asked", "--json"}, 0, `"status": "waiting for intake"`},
		{[]string{"show", "nobody"}, 2, "run nobody is unknown on "},
		{[]string{"runs"}, 0, "3 requests waiting for intake: asked, other, 01"}, // the id that intake will give it
		{[]string{"watch", "asked", "--timeout", "1s"}, 6, "run asked is waiting for intake: its request was stored at "},
		{[]string{"cancel", "asked", "--no-wait"}, 0, "it is cancelled as soon as an intake looks at it"},
		{[]string{"cancel", "other", "--timeout", "1s"}, 6, "run other has not ended yet; the request stands"},
		{[]string{"cancel", "nobody"}, 2, "run nobody is unknown on "},
	} {
		status, out, screen := clitest.Run(t, append(c.args, on...)...)
		if status != c.status || !strings.Contains(out+screen, c.says) {
			t.Errorf("%q: status %d\n%s%s", c.args, status, out, screen)
		}
	}
	b.Close()
	if err := server.Stop(); err != nil {
		t.Fatal(err)
	}
	// The services of the folder accept the request, and the cancel that was asked for ends it.
	clitest.Write(t, dir, "settings.toml", fmt.Sprintf("[services.tracker]\nreports = %q\ntracking_uri = %q\n", dir+"/reports", "file:"+dir+"/mlruns"))
	status, out, screen := clitest.Run(t, "cancel", "other", "--data", dir, "--settings", dir+"/settings.toml")
	if status != 0 || !strings.Contains(out, "other") || !strings.Contains(out, "cancelled") {
		t.Errorf("cancel on the folder: status %d\n%s%s", status, out, screen)
	}
	// The services may have left before the other run ended.
	if status, out, screen := clitest.Run(t, "cancel", "asked", "--data", dir, "--settings", dir+"/settings.toml"); status != 0 && !strings.Contains(screen, "has ended already") {
		t.Errorf("cancel of a request on the folder: status %d\n%s%s", status, out, screen)
	}
	if status, out, screen := clitest.Run(t, "show", "asked", "--data", dir); status != 0 || !strings.Contains(out, ": cancelled") {
		t.Errorf("show on the folder: status %d\n%s%s", status, out, screen)
	}
	if status, out, screen := clitest.Run(t, "runs", "--data", dir); status != 0 || strings.Contains(screen, "waiting for intake") {
		t.Errorf("runs on the folder: status %d\n%s%s", status, out, screen)
	}
}

// TestFullStream: who asks for a run while the stream of facts is nearly full is told that,
// and not that no intake is there.
func TestFullStream(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	b := bustest.Connect(t, server)
	const size = 1 << 20
	if err := topology.Apply(t.Context(), b, topology.Topology{FactBytes: size}); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 9 {
		if _, err := js.Publish(t.Context(), events.PipelineAccepted{RunID: fmt.Sprint(i)}.Subject(), make([]byte, size/10)); err != nil {
			t.Fatal(err)
		}
	}
	on := []string{"--server", server.URL()}
	for _, args := range [][]string{
		{"submit", "--run-id", "late", "--set", "inferencer.testing_data_id=owner/rows", "--set", "fine_tuner.base_model_id=owner/model", "--set", "fine_tuner.training_data_id=owner/rows"},
		{"show", "late"},
		{"watch", "late", "--timeout", "1s"},
	} {
		_, out, screen := clitest.Run(t, append(args, on...)...)
		if text := out + screen; !strings.Contains(text, "is 90 % full, and intake admits no further runs") || strings.Contains(text, "start tunebus-intake") {
			t.Errorf("%q:\n%s", args, text)
		}
	}
}
