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

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// guarded is a server with JetStream whose user "worker" may publish only
// what deny leaves; "admin" may do everything.
func guarded(t *testing.T, deny ...string) (admin, worker *conn.Conn) {
	t.Helper()
	url := serve(t, &server.Options{
		JetStream: true, StoreDir: t.TempDir(),
		Users: []*server.User{
			{Username: "admin", Password: "a"},
			{Username: "worker", Password: "w", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: []string{">"}, Deny: deny}}},
		},
	})
	connect := func(who string) *conn.Conn {
		b, err := conn.Connect(t.Context(), conn.Options{URL: strings.Replace(url, "nats://", "nats://"+who+"@", 1), Name: "test", Wait: -1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(b.Close)
		return b
	}
	admin, worker = connect("admin:a"), connect("worker:w")
	if err := topology.Apply(t.Context(), admin, topology.Topology{}); err != nil {
		t.Fatal(err)
	}
	return admin, worker
}

// TestMissingPermissionIsAnError: whoever may not read hears of it at once,
// and never takes a run for an empty one.
func TestMissingPermissionIsAnError(t *testing.T) {
	t.Parallel()
	admin, worker := guarded(t, "$JS.API.DIRECT.GET.>", "$JS.API.STREAM.MSG.GET.>")
	if _, err := journal.New(admin).Publish(t.Context(), started(1), journal.Fence{}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if msgs, err := history.New(worker).Facts(t.Context(), "r1"); !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), "DIRECT.GET") {
		t.Errorf("%d facts and %v, want a permission violation that names the subject", len(msgs), err)
	}
	if _, err := history.New(worker).Latest(t.Context(), started(1).Subject()); !errors.Is(err, nats.ErrPermissionViolation) || errors.Is(err, history.ErrNotFound) {
		t.Errorf("last: %v, want a permission violation", err)
	}
	if err := history.New(worker).Metrics("r1", events.Finetune).Read(t.Context(), func(events.Event) {}); !errors.Is(err, nats.ErrPermissionViolation) {
		t.Errorf("points: %v, want a permission violation", err)
	}
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("it took %s", took)
	}
}

// TestMissingStreamIsAnError: no streams are no empty run either.
func TestMissingStreamIsAnError(t *testing.T) {
	t.Parallel()
	b, err := conn.Connect(t.Context(), conn.Options{URL: serve(t, &server.Options{JetStream: true, StoreDir: t.TempDir()}), Wait: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	if msgs, err := history.New(b).Facts(t.Context(), "r1"); err == nil || !strings.Contains(err.Error(), "tunebus setup") {
		t.Errorf("%d facts and %v, want an error that says what to do", len(msgs), err)
	}
	if _, err := history.New(b).Latest(t.Context(), "finetune.completed.r1"); err == nil || errors.Is(err, history.ErrNotFound) {
		t.Errorf("last: %v", err)
	}
}

// TestAnswersAreBoundedInBytes: the server ends a long answer early, with the
// same status at its end. Of a run that is an error; metric points go on where
// the answer stopped.
func TestAnswersAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	filler := strings.Repeat("x", 900<<10)
	const n = 20
	for i := range n {
		b.publish(t, events.AttemptEnded{RunID: "r1", Phase: events.Finetune, Attempt: i + 1, Error: &events.Problem{Message: filler}})
	}
	for i := range 4 {
		b.publish(t, events.Progress{RunID: "r1", Phase: events.Finetune, Attempt: 1, Step: int64(i + 1), Points: []events.Point{{Key: filler}}})
	}
	if msgs, err := history.New(b.bus).Facts(t.Context(), "r1"); err == nil || !strings.Contains(err.Error(), "kept") {
		t.Errorf("%d facts of %d, and %v", len(msgs), n, err)
	}
	var steps []int64
	if err := history.New(b.bus).Metrics("r1", events.Finetune).Read(t.Context(), func(ev events.Event) { steps = append(steps, ev.(events.Progress).Step) }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(steps) != "[1 2 3 4]" {
		t.Errorf("steps %v, want 1 to 4", steps)
	}
}

// TestARunHasAThousandFacts: as many as one answer holds, in order, and one
// more is an error instead of a part.
func TestARunHasAThousandFacts(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	stored := b.publish(t, started(1))
	facts, err := b.js.Stream(t.Context(), events.StreamFacts)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := facts.GetMsg(t.Context(), stored.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	const most = 1024
	add := func(attempt int) jetstream.PubAckFuture {
		f, err := b.js.PublishMsgAsync(&nats.Msg{Subject: started(attempt).Subject(), Data: raw.Data, Header: nats.Header{"Content-Type": raw.Header["Content-Type"]}})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	for i := 2; i <= most; i++ {
		add(i)
	}
	<-b.js.PublishAsyncComplete()
	msgs, err := history.New(b.bus).Facts(t.Context(), "r1")
	if err != nil || len(msgs) != most || msgs[most-1].Subject != started(most).Subject() {
		t.Fatalf("%d facts, %v", len(msgs), err)
	}
	<-add(most + 1).Ok()
	if msgs, err := history.New(b.bus).Facts(t.Context(), "r1"); err == nil {
		t.Errorf("%d facts of %d, and no error", len(msgs), most+1)
	}
}

// TestBadPointHidesNoOthers: metric points that cannot be decoded are left
// out.
func TestBadPointHidesNoOthers(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{})
	point := func(step int64) events.Progress {
		return events.Progress{RunID: "r1", Phase: events.Finetune, Attempt: 1, Step: step}
	}
	b.publish(t, point(1))
	b.raw(t, point(2).Subject(), "junk", nil)
	b.publish(t, point(3))
	var steps []int64
	if err := history.New(b.bus).Metrics("r1", events.Finetune).Read(t.Context(), func(ev events.Event) { steps = append(steps, ev.(events.Progress).Step) }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(steps) != "[1 3]" {
		t.Errorf("steps %v", steps)
	}
}
