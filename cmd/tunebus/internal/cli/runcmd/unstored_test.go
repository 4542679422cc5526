package runcmd_test

import (
	"context"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// fill makes a stream full.
func fill(t *testing.T, b *conn.Conn, stream string) {
	t.Helper()
	if err := b.Request(t.Context(), conn.ApplyStream, func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return err
		}
		cfg := s.CachedInfo().Config
		cfg.MaxBytes = 1
		_, err = js.UpdateStream(ctx, cfg)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// TestNotStored: a server that does not store what a command publishes ends the
// command, which says so and what to do.
func TestNotStored(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	request := []string{"--skip-finetuning", "--timeout", "1s", "--run-id", "kept", "--artifacts", services.Artifacts(), "--config", services.Dir + "/small.toml"}
	clitest.Publish(t, services.Bus, events.PipelineAccepted{RunID: "open", Plan: []events.Step{{Phase: events.Finetune, Queue: "nobody"}}})
	fill(t, services.Bus, events.StreamFacts)
	fill(t, services.Bus, events.StreamRequests)
	for name, c := range map[string]struct {
		args []string
		says string
	}{
		"full requests": {append([]string{"submit", "--server", services.URL, "--wait"}, request...), "it is not sure that run kept is submitted: NATS at "},
		"full facts":    {[]string{"cancel", "open", "--timeout", "1s", "--server", services.URL}, "it is not sure that run open will be cancelled: NATS at "},
	} {
		status, out, screen := clitest.Run(t, c.args...)
		if status != 1 || out != "" || !strings.Contains(screen, c.says) || !strings.Contains(screen, "did not confirm it within 1s") ||
			!strings.Contains(screen, "tunebus doctor") {
			t.Errorf("%s: status %d\n%s%s", name, status, out, screen)
		}
	}
}
