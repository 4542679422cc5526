package bustest_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"context"

	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// connectRestricted starts a server and connects as two of its users: admin may
// do everything, worker must not publish on the denied subjects.
func connectRestricted(t *testing.T, deny ...string) (admin, worker *conn.Conn) {
	t.Helper()
	url := startServer(t, &server.Options{
		JetStream: true, StoreDir: t.TempDir(),
		Users: []*server.User{
			{Username: "admin", Password: "a"},
			{Username: "worker", Password: "w", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: deny}}},
		},
	})
	connect := func(user string) *conn.Conn {
		c, err := conn.Connect(t.Context(), conn.Options{URL: strings.Replace(url, "nats://", "nats://"+user+"@", 1), Name: "test", Wait: -1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	admin, worker = connect("admin:a"), connect("worker:w")
	if err := topology.Apply(t.Context(), admin, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	return admin, worker
}

// TestHistoryMissingPermissionIsAnError: without the permission to read, every read
// fails at once. It never returns an empty run.
func TestHistoryMissingPermissionIsAnError(t *testing.T) {
	t.Parallel()
	admin, worker := connectRestricted(t, "$JS.API.DIRECT.GET.>", "$JS.API.STREAM.MSG.GET.>")
	if _, err := journal.New(admin).Publish(t.Context(), started(1), journal.Fence{}); err != nil {
		t.Fatal(err)
	}
	runs := history.New(worker)
	begin := time.Now()
	if msgs, err := runs.Facts(t.Context(), "r1"); !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), "DIRECT.GET") {
		t.Errorf("%d facts and %v, want a permission violation that names the subject", len(msgs), err)
	}
	if _, err := runs.Latest(t.Context(), started(1).Subject()); !errors.Is(err, nats.ErrPermissionViolation) || errors.Is(err, history.ErrNotFound) {
		t.Errorf("latest: %v, want a permission violation", err)
	}
	if err := runs.Metrics("r1", events.Finetune).Read(t.Context(), func(events.Event) {}); !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("metrics: %v, want a permission violation", err)
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestHistoryMissingStreamIsAnError: without the streams a read fails, too.
func TestHistoryMissingStreamIsAnError(t *testing.T) {
	t.Parallel()
	c, err := conn.Connect(t.Context(), conn.Options{URL: startServer(t, &server.Options{JetStream: true, StoreDir: t.TempDir()}), Wait: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	runs := history.New(c)
	if msgs, err := runs.Facts(t.Context(), "r1"); err == nil || !strings.Contains(err.Error(), "tunebus setup") {
		t.Errorf("%d facts and %v, want an error that names the command to run", len(msgs), err)
	}
	if _, err := runs.Latest(t.Context(), "finetune.completed.r1"); err == nil || errors.Is(err, history.ErrNotFound) {
		t.Errorf("latest: %v, want an error other than ErrNotFound", err)
	}
}

// TestHistoryReplyBoundedInBytes: the server ends a long reply early, with the
// same final status. A read of facts then fails; a read of metrics asks again from
// where the reply ended.
func TestHistoryReplyBoundedInBytes(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	filler := strings.Repeat("x", 900<<10)
	const n = 20
	for i := range n {
		s.publishLarge(t, events.AttemptEnded{RunID: "r1", Phase: events.Finetune, Attempt: i + 1, Error: &events.Problem{Message: "FILLER"}}, filler)
	}
	for i := range 4 {
		s.publishLarge(t, events.Progress{RunID: "r1", Phase: events.Finetune, Attempt: 1, Step: int64(i + 1), Points: []events.Point{{Key: "FILLER"}}}, filler)
	}
	if msgs, err := history.New(s.conn).Facts(t.Context(), "r1"); err == nil || !strings.Contains(err.Error(), "kept") {
		t.Errorf("%d facts of %d, and %v", len(msgs), n, err)
	}
	var steps []int64
	if err := history.New(s.conn).Metrics("r1", events.Finetune).Read(t.Context(), func(ev events.Event) { steps = append(steps, ev.(events.Progress).Step) }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(steps) != "[1 2 3 4]" {
		t.Errorf("steps %v, want 1 to 4", steps)
	}
}

// publishLarge publishes an event that is larger than events are now, as earlier
// versions did. filler replaces the text FILLER of the event.
func (s *testServer) publishLarge(t *testing.T, ev events.Event, filler string) {
	t.Helper()
	msg, err := codec.New("test").Encode(t.Context(), ev, codec.MessageID(ev))
	if err != nil {
		t.Fatal(err)
	}
	s.publishRaw(t, msg.Subject, strings.Replace(string(msg.Data), "FILLER", filler, 1), msg.Header)
}

// TestHistoryFactsLimit: a run may have 1024 facts, as many as one reply holds,
// and they are read in order. With one more the read fails.
func TestHistoryFactsLimit(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	stored := s.publish(t, started(1))
	facts, err := s.js.Stream(t.Context(), events.StreamFacts)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := facts.GetMsg(t.Context(), stored.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	const limit = 1024
	add := func(attempt int) jetstream.PubAckFuture {
		f, err := s.js.PublishMsgAsync(&nats.Msg{Subject: started(attempt).Subject(), Data: raw.Data, Header: nats.Header{"Content-Type": raw.Header["Content-Type"]}})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for i := 2; i <= limit; i++ {
		add(i)
	}
	<-s.js.PublishAsyncComplete()
	msgs, err := history.New(s.conn).Facts(t.Context(), "r1")
	if err != nil || len(msgs) != limit || msgs[limit-1].Subject != started(limit).Subject() {
		t.Fatalf("%d facts, %v", len(msgs), err)
	}
	<-add(limit + 1).Ok()
	if msgs, err := history.New(s.conn).Facts(t.Context(), "r1"); err == nil {
		t.Errorf("%d facts of %d, and no error", len(msgs), limit+1)
	}
}

// TestHistoryMetricsSkipUndecodable: a read of metrics skips messages that cannot
// be decoded.
func TestHistoryMetricsSkipUndecodable(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	point := func(step int64) events.Progress {
		return events.Progress{RunID: "r1", Phase: events.Finetune, Attempt: 1, Step: step}
	}
	s.publish(t, point(1))
	s.publishRaw(t, point(2).Subject(), "junk", nil)
	s.publish(t, point(3))
	var steps []int64
	if err := history.New(s.conn).Metrics("r1", events.Finetune).Read(t.Context(), func(ev events.Event) { steps = append(steps, ev.(events.Progress).Step) }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(steps) != "[1 3]" {
		t.Errorf("steps %v", steps)
	}
}

// TestHistoryRunForJob: the accepted fact is taken from the job if the job holds
// it, and read otherwise. The rest of the run is read.
func TestHistoryRunForJob(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	accepted := events.PipelineAccepted{
		RunID: "r1", RequestedAt: time.Now().UTC(), Labels: map[string]string{"team": "x"},
		Plan: []events.Step{{Phase: events.Finetune, Queue: "builtin"}},
	}
	s.publish(t, accepted)
	next, err := events.Next(accepted, events.Run{})
	if err != nil {
		t.Fatal(err)
	}
	job := next.(events.PhaseRequested)
	runs := history.New(s.conn)
	run, err := runs.RunForJob(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "the run", run.ID, "r1")
	if run.Accepted == nil {
		t.Fatal("the job's run is not accepted")
	}
	if a := run.Accepted; !a.RequestedAt.Equal(accepted.RequestedAt) || len(a.Plan) != 1 {
		t.Errorf("accepted %+v, want the time and the plan of the job", a)
	}
	if a := run.Accepted; a.Labels != nil {
		t.Errorf("the accepted fact was read: %+v", a)
	}
	s.publish(t, events.CancelRequested{RunID: "r1", By: "test"})
	s.publish(t, events.PhaseStarted{RunID: "r1", Phase: events.Finetune, Attempt: 1})
	s.publish(t, events.PhaseStarted{RunID: "r1", Phase: events.Inference, Attempt: 1})
	job.RequestedAt = time.Time{} // as in jobs of an older version
	if run, err = runs.RunForJob(t.Context(), job); err != nil {
		t.Fatal(err)
	}
	if a := run.Accepted; a == nil || a.Labels["team"] != "x" {
		t.Errorf("accepted %+v, want the stored fact", a)
	}
	if run.Cancel == nil {
		t.Error("the request to cancel was not read")
	}
	wantEqual(t, "the next attempt", run.Phases[events.Finetune].NextAttempt(), 2)
	if p := run.Phases[events.Inference]; p != nil {
		t.Errorf("another phase was read: %+v", p)
	}
}

func TestHistoryOfUnknownRunIsEmpty(t *testing.T) {
	t.Parallel()
	c := bustest.New(t, topology.Topology{})
	runs := history.New(c)
	msgs, err := runs.Facts(t.Context(), "unknown")
	if err != nil || len(msgs) != 0 {
		t.Fatalf("got %v, %v", msgs, err)
	}
	if _, err := runs.Latest(t.Context(), "finetune.completed.unknown"); !errors.Is(err, history.ErrNotFound) {
		t.Fatalf("got %v, want ErrNotFound", err)
	}
}

// TestHistoryFactsAreAllOrNothing: without the final status of the server, a read
// fails. It never returns a part of a run.
func TestHistoryFactsAreAllOrNothing(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{})
	s.publish(t, started(1))
	proxy := bustest.NewProxy(t, s.server.URL())
	client := s.connect(t, proxy.URL)
	proxy.DropReplies()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if msgs, err := history.New(client).Facts(ctx, "r1"); err == nil {
		t.Errorf("%d facts without the final status of the server", len(msgs))
	}
}
