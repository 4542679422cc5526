package opscmd_test

import (
	"context"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// TestSetupWithTooLittleStorage: the error names how much the stream needs, how much is left,
// and what to do. Nothing is left of the search for that.
func TestSetupWithTooLittleStorage(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0", MaxBytes: 3 << 30})
	status, out, screen := clitest.Run(t, "setup", "--server", server.URL())
	for _, want := range []string{
		"stream TUNEBUS needs 4,294,967,296 bytes, and the server has 2,147,483,648 left", "all streams of tunebus need 7,", "raise max_file_store",
	} {
		if status != 1 || out != "" || !strings.Contains(screen, want) {
			t.Errorf("no %q, status %d\n%s%s", want, status, out, screen)
		}
	}
	large := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0", MaxBytes: 8 << 30})
	if status, out, screen := clitest.Run(t, "setup", "--server", large.URL()); status != 0 {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
}

// TestSetupSaysWhatItChanges: of a new server nothing, later what was missing and what is
// changed, from what to what, and nothing where all is as it was. The ack wait that was asked
// for once stays.
func TestSetupSaysWhatItChanges(t *testing.T) {
	t.Parallel()
	server := bustest.Start(t, embedded.Options{Listen: "127.0.0.1:0"})
	done := strings.TrimPrefix(server.URL(), "nats://") + " is set up\n"
	setup := func(want string, args ...string) {
		t.Helper()
		status, out, screen := clitest.Run(t, append([]string{"setup", "--server", server.URL()}, args...)...)
		if status != 0 || out != done+want {
			t.Errorf("%q: status %d, want %q\n%s%s", args, status, want, out, screen)
		}
	}
	setup("", "--ack-wait", "10s")
	setup("")
	b := bustest.Connect(t, server)
	if err := b.Request(t.Context(), conn.ApplyConsumer, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, events.StreamMetrics)
		if err != nil {
			return err
		}
		config := s.CachedInfo().Config
		config.MaxBytes = 1 << 20
		if _, err := js.UpdateStream(ctx, config); err != nil {
			return err
		}
		return js.DeleteConsumer(ctx, events.StreamFacts, "finetune_builtin")
	}); err != nil {
		t.Fatal(err)
	}
	setup("max_bytes changed from 1048576 to 1073741824: stream TUNEBUS_METRICS\ncreated: consumer finetune_builtin of TUNEBUS\n")
	setup("created: consumer finetune_big of TUNEBUS\n", "--queue", "finetune=big")
	if _, out, _ := clitest.Run(t, "setup", "--server", server.URL(), "--ack-wait", "20s"); !strings.HasPrefix(out, done+"ack_wait changed from 10s to 20s: consumer intake of TUNEBUS_REQUESTS, consumer ") {
		t.Errorf("--ack-wait: %s", out)
	}
	setup("")
}
