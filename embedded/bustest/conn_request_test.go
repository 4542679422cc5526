package bustest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// requests are the two ways to run a request. They ask for the state of the
// account, under the name and the limit of op.
func requests(c *conn.Conn, op conn.Op) map[string]func(context.Context) error {
	const subject = "$JS.API.INFO"
	return map[string]func(context.Context) error{
		"Request": func(ctx context.Context) error {
			return c.Request(ctx, op, func(ctx context.Context, js jetstream.JetStream) error {
				_, err := js.Conn().RequestWithContext(ctx, subject, nil)
				return err
			})
		},
		"RequestMany": func(ctx context.Context) error {
			return c.RequestMany(ctx, op, subject, nil, 1, func(*nats.Msg) (bool, error) { return true, nil })
		},
	}
}

// TestConnRequestEndsAfterLimit: a request whose reply is lost ends after the
// limit of its kind, whatever deadline its caller has. The error names the kind,
// the server and the limit.
func TestConnRequestEndsAfterLimit(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	proxy := bustest.NewProxy(t, s.server.URL())
	c := s.connect(t, proxy.URL)
	address := strings.TrimPrefix(proxy.URL, "nats://")
	proxy.DropReplies()
	for _, op := range []conn.Op{conn.Ack, conn.Nak} {
		for name, request := range requests(c, op) {
			for deadline, limit := range map[string]time.Duration{"no deadline": 0, "a late deadline": time.Hour} {
				t.Run(name+" "+string(op)+" "+deadline, func(t *testing.T) {
					t.Parallel()
					ctx := t.Context()
					if limit > 0 {
						var cancel context.CancelFunc
						ctx, cancel = context.WithTimeout(ctx, limit)
						defer cancel()
					}
					begin := time.Now()
					err := request(ctx)
					took := time.Since(begin)
					if !errors.Is(err, context.DeadlineExceeded) {
						t.Fatalf("got %v, want the error of a deadline", err)
					}
					wantContains(t, "the error", err.Error(), string(op)+": ")
					wantContains(t, "the error", err.Error(), address)
					wantContains(t, "the error", err.Error(), op.Limit().String())
					if took < op.Limit() || took > op.Limit()+5*time.Second {
						t.Errorf("it took %s, the limit is %s", took, op.Limit())
					}
				})
			}
		}
	}
}

// TestConnRequestEndsWithContext: a caller's deadline before the limit ends the
// request, and the error is the one of the context.
func TestConnRequestEndsWithContext(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	proxy := bustest.NewProxy(t, s.server.URL())
	c := s.connect(t, proxy.URL)
	proxy.DropReplies()
	for name, request := range requests(c, conn.ListConsumers) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			begin := time.Now()
			if err := request(ctx); !errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), string(conn.ListConsumers)) {
				t.Errorf("got %v, want the error of the context alone", err)
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

// TestConnRequestEndsWhileDisconnected: a request ends after the limit of its
// kind also while there is no connection: the server refuses new ones, or takes
// them and says nothing.
func TestConnRequestEndsWhileDisconnected(t *testing.T) {
	t.Parallel()
	for state, silent := range map[string]bool{"refused": false, "silent": true} {
		s := newTestServer(t, topology.Topology{})
		proxy := bustest.NewProxy(t, s.server.URL())
		c := s.connect(t, proxy.URL)
		address := strings.TrimPrefix(proxy.URL, "nats://")
		proxy.Cut()
		if silent {
			proxy.DropReplies()
			proxy.AcceptAgain()
		}
		eventually(t, "the connection is lost", func() bool { return !c.Connected() })
		for name, request := range requests(c, conn.Ack) {
			t.Run(state+" "+name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				defer cancel()
				begin := time.Now()
				err := request(ctx)
				if !conn.IsUnanswered(err) {
					t.Errorf("got %v, want an error without an answer", err)
				}
				wantContains(t, "the error", err.Error(), "no connection to NATS at "+address)
				// The library holds its lock while it tries to connect.
				if took := time.Since(begin); took > conn.Ack.Limit()+10*time.Second {
					t.Errorf("it took %s", took)
				}
			})
		}
	}
}
