package bustest_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestDenied: a request that the permissions of the user refuse ends at once, and says so;
// one of several that wait says it at the end of its limit.
func TestDenied(t *testing.T) {
	t.Parallel()
	url := startServer(t, &server.Options{JetStream: true, StoreDir: t.TempDir(), Users: []*server.User{
		{Username: "worker", Password: "hush", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: []string{"$JS.API.CONSUMER.>", "$JS.API.INFO"}},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
		}},
	}})
	c := (&testServer{log: &logBuffer{}}).connect(t, strings.Replace(url, "nats://", "nats://worker:hush@", 1))
	begin := time.Now()
	err := topology.Apply(t.Context(), c, topology.Topology{Replicas: 1, AckWait: 30 * time.Second})
	if denied, ok := errors.AsType[*conn.DeniedError](err); !ok || denied.Op != conn.ApplyStream || time.Since(begin) > 4*time.Second ||
		!strings.Contains(err.Error(), `may not do that: nats: permissions violation: Permissions Violation for Publish to "$JS.API.STREAM.`) {
		t.Errorf("after %s: %v", time.Since(begin), err)
	}
	errs := make([]error, 2)
	var both sync.WaitGroup
	var begun sync.WaitGroup // so that both wait at the same time
	begun.Add(len(errs))
	for i := range errs {
		both.Go(func() {
			errs[i] = c.Request(t.Context(), conn.StreamInfo, func(ctx context.Context, js jetstream.JetStream) error {
				begun.Done()
				begun.Wait()
				_, err := js.Stream(ctx, events.StreamFacts)
				return err
			})
		})
	}
	both.Wait()
	for _, err := range errs {
		if silent, ok := errors.AsType[*conn.NoReplyError](err); !ok || silent.Denied == nil || !conn.IsUnanswered(err) ||
			!strings.Contains(err.Error(), `may not do: nats: permissions violation: Permissions Violation for Publish to "$JS.API.STREAM.INFO.TUNEBUS"`) {
			t.Errorf("one of two: %v", err)
		}
	}
}
