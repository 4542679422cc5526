package bustest_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestSlowServer: a request whose answer takes longer than its limit succeeds when it is
// asked again, since it then waits longer.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	const subject, takes = "slow", 6 * time.Second
	slow, err := nats.Connect(s.server.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(slow.Close)
	if _, err := slow.Subscribe(subject, func(m *nats.Msg) { time.AfterFunc(takes, func() { _ = m.Respond(nil) }) }); err != nil {
		t.Fatal(err)
	}
	if err := slow.Flush(); err != nil {
		t.Fatal(err)
	}
	for name, ask := range map[string]func(context.Context, *conn.Conn) error{
		"Request": func(ctx context.Context, c *conn.Conn) error {
			return c.Request(ctx, conn.StreamInfo, func(ctx context.Context, js jetstream.JetStream) error {
				_, err := js.Conn().RequestWithContext(ctx, subject, nil)
				return err
			})
		},
		"RequestMany": func(ctx context.Context, c *conn.Conn) error {
			return c.RequestMany(ctx, conn.GetMessage, subject, nil, 1, func(*nats.Msg) (bool, error) { return true, nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := s.connect(t, s.server.URL())
			first := ask(t.Context(), c)
			if e, ok := errors.AsType[*conn.NoReplyError](first); !ok || e.Limit != 5*time.Second {
				t.Errorf("the first try: %v", first)
			}
			if err := ask(t.Context(), c); err != nil {
				t.Errorf("the second try: %v", err)
			}
		})
	}
}
