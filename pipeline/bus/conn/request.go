package conn

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Request runs one request, or the few that make one operation of the client
// library. do gets a context that ends after the limit of op at the latest. If the
// server turns out to be slow, the limit of further requests is longer, up to half a
// minute.
func (c *Conn) Request(ctx context.Context, op Op, do func(ctx context.Context, js jetstream.JetStream) error) error {
	r := begin(c, op)
	bounded, cancel := context.WithTimeout(ctx, r.limit)
	defer cancel()
	bounded, end := context.WithCancelCause(bounded)
	defer end(nil)
	c.denials.add(&r, end)
	defer c.denials.remove(&r)
	err := do(bounded, c.js)
	if denied, ok := errors.AsType[*DeniedError](context.Cause(bounded)); ok && err != nil {
		return denied
	}
	return r.end(ctx, err)
}

// request is a request that is under way.
type request struct {
	conn  *Conn
	op    Op
	limit time.Duration
	begin time.Time
}

func begin(c *Conn, op Op) request {
	return request{conn: c, op: op, limit: c.limits.of(op), begin: time.Now()}
}

// end notes how the request ended. It names one that got no reply within its own limit. An
// error of the caller's context stays as it is.
func (r request) end(ctx context.Context, err error) error {
	if err == nil || !errors.Is(err, context.DeadlineExceeded) {
		r.conn.limits.answered(r.op, time.Since(r.begin))
		return asNoLeader(r.op, err)
	}
	if ctx.Err() != nil {
		return err
	}
	connected := r.conn.Connected()
	if connected { // without a connection, no server was slow
		r.conn.limits.unanswered(r.op, r.limit)
	}
	return &NoReplyError{Op: r.op, Limit: r.limit, Server: r.conn.Server(), Cluster: r.conn.nc.ConnectedClusterName(), Disconnected: !connected, Denied: r.conn.denials.since(r.begin), Err: err}
}

// NoReplyError means that a request got no reply within its own limit. The
// server may have carried it out.
type NoReplyError struct {
	Op Op
	// Limit is how long the request waited.
	Limit time.Duration
	// Server is the host and port of the server, the last one if there is no
	// connection now.
	Server string
	// Cluster is the name of the server's cluster; empty: it is alone. Another server of the
	// cluster may be the one that did not answer.
	Cluster string
	// Disconnected reports that there was no connection at the end of the limit.
	Disconnected bool
	// Denied is what the server refused by permissions meanwhile, most likely this request;
	// nil if it refused nothing.
	Denied error
	Err    error
}

func (e *NoReplyError) Error() string {
	if e.Disconnected {
		return fmt.Sprintf("%s: no connection to NATS at %s, and no reply within %s: %v", e.Op, e.Server, e.Limit, e.Err)
	}
	if e.Denied != nil {
		return fmt.Sprintf("%s: no reply from NATS at %s within %s, which reported meanwhile what the user of this connection may not do: %v", e.Op, e.Server, e.Limit, e.Denied)
	}
	if e.Cluster != "" {
		return fmt.Sprintf("%s: no reply through NATS at %s within %s, from that server or another one of its cluster %s: %v", e.Op, e.Server, e.Limit, e.Cluster, e.Err)
	}
	return fmt.Sprintf("%s: no reply from NATS at %s within %s: %v", e.Op, e.Server, e.Limit, e.Err)
}

// Unwrap returns the cause.
func (e *NoReplyError) Unwrap() error { return e.Err }

// The server's errors for a request that needs the leader of the cluster's JetStream, while
// there is none. Source: errors.json of nats-server v2.15; the client library names no
// constants for them.
const (
	codeClusterNotAvailable jetstream.ErrorCode = 10008
	codeClusterNoLeader     jetstream.ErrorCode = 10009
)

// NoLeaderError means that the cluster's JetStream has no leader, so that nobody could answer
// a request.
type NoLeaderError struct {
	Op  Op
	Err error
}

func (e *NoLeaderError) Error() string {
	return fmt.Sprintf("%s: JetStream has no leader now, most likely because half of the servers of the cluster or more are away: %v", e.Op, e.Err)
}

// Unwrap returns the refusal.
func (e *NoLeaderError) Unwrap() error { return e.Err }

// asNoLeader returns an error that says so if it means that JetStream has no leader.
func asNoLeader(op Op, err error) error {
	refusal, ok := errors.AsType[jetstream.JetStreamError](err)
	if !ok || refusal.APIError() == nil {
		return err
	}
	if code := refusal.APIError().ErrorCode; code != codeClusterNotAvailable && code != codeClusterNoLeader {
		return err
	}
	return &NoLeaderError{Op: op, Err: err}
}

// IsNoLeader reports whether an error is a [*NoLeaderError].
func IsNoLeader(err error) bool {
	_, ok := errors.AsType[*NoLeaderError](err)
	return ok
}

// IsUnanswered reports whether an error means that the server could not be
// asked, or did not answer, or that a cluster has no leader who could: another try may
// succeed. Any other refusal is an answer.
func IsUnanswered(err error) bool {
	if _, ok := errors.AsType[*NoReplyError](err); ok || IsNoLeader(err) {
		return true
	}
	return slices.ContainsFunc([]error{
		nats.ErrTimeout, nats.ErrDisconnected, nats.ErrConnectionReconnecting, nats.ErrReconnectBufExceeded, nats.ErrStaleConnection,
	}, func(target error) bool { return errors.Is(err, target) })
}
