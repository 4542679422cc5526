package bustest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// TestDeadLetterAndRedriveLeastPrivilege: the permissions in the manual are enough
// for a worker to store a dead letter and for an operator to redrive it. A
// worker may not redrive.
func TestDeadLetterAndRedriveLeastPrivilege(t *testing.T) {
	t.Parallel()
	user := func(name string, publish ...string) *server.User {
		return &server.User{Username: name, Password: "hush", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: publish},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
		}}
	}
	url := startServer(t, &server.Options{JetStream: true, StoreDir: t.TempDir(), Users: []*server.User{
		{Username: "admin", Password: "hush"},
		user("worker", "$JS.API.CONSUMER.INFO.TUNEBUS.finetune_builtin", "$JS.API.CONSUMER.MSG.NEXT.TUNEBUS.finetune_builtin",
			"$JS.ACK.>", "dead.>", "$JS.API.STREAM.MSG.GET.TUNEBUS_DEAD"),
		user("operator", "retry.>", events.TypePipelineRequested, "$JS.API.DIRECT.GET.TUNEBUS_DEAD", "$JS.API.DIRECT.GET.TUNEBUS_REQUESTS",
			"$JS.API.STREAM.MSG.GET.*", "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.TUNEBUS.*", "$JS.API.STREAM.MSG.DELETE.TUNEBUS_DEAD"),
	}})
	s := &testServer{log: &logBuffer{}}
	connectAs := func(user string) *conn.Conn {
		return s.connect(t, strings.Replace(url, "nats://", "nats://"+user+":hush@", 1))
	}
	s.conn = connectAs("admin")
	if err := topology.Apply(t.Context(), s.conn, topology.Topology{AckWait: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	s.publish(t, events.PipelineAccepted{RunID: "r1"})
	s.publish(t, job("r1"))
	worker, operator := connectAs("worker"), deadletter.New(connectAs("operator"))
	s.runRouter(t, worker, jobRoute(func(_ context.Context, d delivery.Delivery) error {
		if d.Delivered > 1 {
			return nil
		}
		return &delivery.DeadLetterError{Err: errors.New("refused")}
	}))
	deadLetter := s.waitForDeadLetters(t, 1)[0]
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if m, err := deadletter.New(worker).Redrive(short, deadLetter); err == nil {
		t.Errorf("a worker redrove a dead letter: %+v", m)
	}
	if n, err := operator.Count(t.Context()); err != nil || n != 1 {
		t.Errorf("%d dead letters, %v", n, err)
	}
	if err := operator.List(t.Context(), func(deadletter.Letter) error { return nil }); err != nil {
		t.Error(err)
	}
	l, err := operator.Get(t.Context(), deadLetter.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := operator.Redrive(t.Context(), l); err != nil {
		t.Error(err)
	}
	eventually(t, "the redriven job is a dead letter again", func() bool {
		n, err := deadletter.New(s.conn).Count(t.Context())
		return err == nil && n == 1
	})
	request := deadletter.Letter{Sequence: 9, Time: time.Now(), Stream: events.StreamRequests, Subject: events.TypePipelineRequested, Body: []byte(`{}`)}
	if _, err := operator.Redrive(t.Context(), request); err != nil {
		t.Errorf("redrive a request: %v", err)
	}
}
