package bustest_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// nothing is work that does nothing.
func nothing(context.Context) error { return nil }

func TestLeaseRunHasOneOwner(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	other := s.connect(t, s.server.URL())
	failed := errors.New("the work failed")
	err := lease.Run(t.Context(), s.conn, "r1", func(context.Context) error {
		err := lease.Run(t.Context(), other, "r1", func(context.Context) error {
			t.Error("two owners have the lease")
			return nil
		})
		if !errors.Is(err, lease.ErrTaken) {
			t.Errorf("the second owner: %v, want ErrTaken", err)
		}
		if err := lease.Run(t.Context(), other, "r2", nothing); err != nil {
			t.Errorf("another lease: %v", err)
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("%v, want the error of the work", err)
	}
	if err := lease.Run(t.Context(), other, "r1", nothing); err != nil {
		t.Errorf("after the first owner: %v", err)
	}
}

// TestLeaseRunGivesBackAfterUnseenRenewal: the end of the work may cut a renewal short
// that the server stored. The lease is given back all the same.
func TestLeaseRunGivesBackAfterUnseenRenewal(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	other := s.connect(t, s.server.URL())
	err := lease.Run(t.Context(), s.conn, "r1", func(ctx context.Context) error {
		bucket, err := s.conn.Bucket(ctx, topology.BucketLeases)
		if err != nil {
			return err
		}
		owner, revision, err := bucket.Get(ctx, "r1")
		if err != nil {
			return err
		}
		_, err = bucket.Update(ctx, "r1", owner, revision)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := lease.Run(t.Context(), other, "r1", nothing); err != nil {
		t.Errorf("after the first owner: %v", err)
	}
}

// TestLeaseRunOfDisconnectedOwner: the lease of an owner without a connection
// expires, another owner gets it, and Run returns ErrTaken to the first one.
func TestLeaseRunOfDisconnectedOwner(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	proxy := bustest.NewProxy(t, s.server.URL())
	disconnected := s.connect(t, proxy.URL)
	working := make(chan struct{})
	lost := make(chan error, 1)
	go func() {
		lost <- lease.Run(t.Context(), disconnected, "r1", func(ctx context.Context) error {
			close(working)
			<-ctx.Done()
			return nil
		})
	}()
	<-working
	proxy.Cut()
	taken := func() bool {
		return lease.Run(t.Context(), s.conn, "r1", nothing) == nil
	}
	limit := time.After(40 * time.Second)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for !taken() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatal("the lease does not expire")
		}
	}
	proxy.Restore()
	if err := <-lost; !errors.Is(err, lease.ErrTaken) {
		t.Errorf("the first owner: %v, want ErrTaken", err)
	}
}

// TestLeaseRunAfterServerRestart: after a restart of the server leases can be
// taken, and every stream and bucket is there.
func TestLeaseRunAfterServerRestart(t *testing.T) {
	t.Parallel()
	server := newRestartableServer(t)
	c := (&testServer{log: &logBuffer{}}).connect(t, server.url)
	if err := topology.Apply(t.Context(), c, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	names := func() []string {
		var out []string
		streams := server.js.StreamNames(t.Context())
		for name := range streams.Name() {
			out = append(out, name)
		}
		if err := streams.Err(); err != nil {
			t.Fatal(err)
		}
		slices.Sort(out)
		return out
	}
	before := names()
	if err := server.restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a lease can be taken", func() bool {
		return lease.Run(t.Context(), c, "r1", nothing) == nil
	})
	if after := names(); !slices.Equal(before, after) {
		t.Errorf("the streams were %v, and are %v", before, after)
	}
}

// replicatedBucket answers the requests for the bucket of leases as a server
// with replicas does, because a single server never does it: it refuses the first
// renewal of a lease, although the key keeps its revision.
type replicatedBucket struct {
	t       *testing.T
	nc      *nats.Conn
	renewed chan struct{} // gets a value for every renewal that is stored

	mu       sync.Mutex
	revision uint64
	value    []byte
	refused  bool
}

const leaseStream = "KV_" + topology.BucketLeases

// newReplicatedBucket serves the bucket on a server without JetStream.
func newReplicatedBucket(t *testing.T, url string) *replicatedBucket {
	t.Helper()
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	b := &replicatedBucket{t: t, nc: nc, renewed: make(chan struct{}, 16)}
	for subject, handle := range map[string]nats.MsgHandler{
		"$JS.API.STREAM.INFO." + leaseStream:       b.info,
		"$JS.API.DIRECT.GET." + leaseStream + ".>": b.get,
		"$KV." + topology.BucketLeases + ".>":      b.put,
	} {
		if _, err := nc.Subscribe(subject, handle); err != nil {
			t.Fatal(err)
		}
	}
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *replicatedBucket) respond(m *nats.Msg, body string) {
	if err := m.Respond([]byte(body)); err != nil {
		b.t.Error(err)
	}
}

func (b *replicatedBucket) info(m *nats.Msg) {
	b.respond(m, fmt.Sprintf(`{"type":"io.nats.jetstream.api.v1.stream_info_response","created":"2026-01-01T00:00:00Z","state":{},`+
		`"config":{"name":%q,"max_msgs_per_subject":1,"allow_direct":true}}`, leaseStream))
}

func (b *replicatedBucket) get(m *nats.Msg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	reply := nats.NewMsg(m.Reply)
	reply.Header.Set("Nats-Stream", leaseStream)
	reply.Header.Set("Nats-Subject", strings.TrimPrefix(m.Subject, "$JS.API.DIRECT.GET."+leaseStream+"."))
	reply.Header.Set("Nats-Sequence", fmt.Sprint(b.revision))
	reply.Header.Set("Nats-Time-Stamp", "2026-01-01T00:00:00Z")
	reply.Data = b.value
	if err := b.nc.PublishMsg(reply); err != nil {
		b.t.Error(err)
	}
}

// put stores a revision if the publisher expects the one before.
func (b *replicatedBucket) put(m *nats.Msg) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if m.Header.Get("KV-Operation") == "DEL" { // the release, which may come before the last reply has arrived
		b.respond(m, fmt.Sprintf(`{"stream":%q,"seq":%d}`, leaseStream, b.revision+1))
		return
	}
	if expected := m.Header.Get("Nats-Expected-Last-Subject-Sequence"); expected != fmt.Sprint(b.revision) {
		b.t.Errorf("a write expects revision %s, the key has %d", expected, b.revision)
	}
	if b.revision > 0 && !b.refused {
		b.refused = true
		b.respond(m, fmt.Sprintf(`{"error":{"code":400,"err_code":%d,"description":"wrong last sequence"},"stream":%q,"seq":0}`,
			jetstream.JSErrCodeStreamWrongLastSequenceConstant, leaseStream))
		return
	}
	b.revision++
	b.value = m.Data
	b.respond(m, fmt.Sprintf(`{"stream":%q,"seq":%d}`, leaseStream, b.revision))
	if b.revision > 1 {
		b.renewed <- struct{}{}
	}
}

// TestLeaseRunKeepsLeaseAfterRefusedRenewal: a renewal is refused, but the key
// still has the owner's revision. The owner keeps the lease and renews it later.
func TestLeaseRunKeepsLeaseAfterRefusedRenewal(t *testing.T) {
	t.Parallel()
	url := startServer(t, &server.Options{})
	b := newReplicatedBucket(t, url)
	c := (&testServer{log: &logBuffer{}}).connect(t, url)
	err := lease.Run(t.Context(), c, "r1", func(ctx context.Context) error {
		select {
		case <-b.renewed:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	})
	if err != nil {
		t.Error(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.refused {
		t.Error("no renewal was refused")
	}
}

// TestDropAbandoned: the leases of connections that are gone can be taken at once, and those
// of others stay.
func TestDropAbandoned(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	bucket, err := s.conn.Bucket(t.Context(), topology.BucketLeases)
	if err != nil {
		t.Fatal(err)
	}
	for name, owner := range map[string]string{"track.r1": "services killed", "track.r2": "worker alive", "track.r3": "servicesx alive"} {
		if _, err := bucket.Create(t.Context(), name, []byte(owner)); err != nil {
			t.Fatal(err)
		}
	}
	if err := lease.Run(t.Context(), s.conn, "track.r4", nothing); err != nil { // a key that was removed
		t.Fatal(err)
	}
	if err := lease.DropAbandoned(t.Context(), s.conn, "services", "cli"); err != nil {
		t.Fatal(err)
	}
	for name, taken := range map[string]bool{"track.r1": false, "track.r2": true, "track.r3": true, "track.r4": false} {
		if err := lease.Run(t.Context(), s.conn, name, nothing); errors.Is(err, lease.ErrTaken) != taken {
			t.Errorf("%s: %v, taken should be %t", name, err, taken)
		}
	}
}
