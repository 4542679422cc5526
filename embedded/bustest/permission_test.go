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

// TestLeastPrivilegeOfLetters: what the manual says that a worker needs to
// give a message up, and a person to hand it back, is enough, and a worker may
// not hand anything back.
func TestLeastPrivilegeOfLetters(t *testing.T) {
	t.Parallel()
	user := func(name string, publish ...string) *server.User {
		return &server.User{Username: name, Password: "hush", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: publish},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}},
		}}
	}
	url := serve(t, &server.Options{JetStream: true, StoreDir: t.TempDir(), Users: []*server.User{
		{Username: "admin", Password: "hush"},
		user("worker", "$JS.API.CONSUMER.INFO.TUNEBUS.finetune_builtin", "$JS.API.CONSUMER.MSG.NEXT.TUNEBUS.finetune_builtin",
			"$JS.ACK.>", "dead.>", "$JS.API.STREAM.MSG.GET.TUNEBUS_DEAD"),
		user("operator", "retry.>", events.TypePipelineRequested, "$JS.API.DIRECT.GET.TUNEBUS_DEAD", "$JS.API.DIRECT.GET.TUNEBUS_REQUESTS",
			"$JS.API.STREAM.MSG.GET.*", "$JS.API.STREAM.INFO.*", "$JS.API.CONSUMER.INFO.TUNEBUS.*", "$JS.API.STREAM.MSG.DELETE.TUNEBUS_DEAD"),
	}})
	b := &bench{log: &lines{}}
	as := func(who string) *conn.Conn {
		return b.connect(t, strings.Replace(url, "nats://", "nats://"+who+":hush@", 1))
	}
	b.bus = as("admin")
	if err := topology.Apply(t.Context(), b.bus, topology.Topology{AckWait: 2 * time.Second}); err != nil {
		t.Fatal(err)
	}
	b.publish(t, events.PipelineAccepted{RunID: "r1"})
	b.publish(t, job("r1"))
	worker, operator := as("worker"), as("operator")
	b.receive(t, worker, jobs(func(_ context.Context, d delivery.Delivery) error {
		if d.Delivered > 1 {
			return nil
		}
		return &delivery.DeadLetterError{Err: errors.New("not by me")}
	}))
	letter := b.letters(t, 1)[0]
	short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if m, err := deadletter.New(worker).Redrive(short, letter); err == nil {
		t.Errorf("a worker handed a letter back: %+v", m)
	}
	if n, err := deadletter.New(operator).Count(t.Context()); err != nil || n != 1 {
		t.Errorf("%d letters, %v", n, err)
	}
	if err := deadletter.New(operator).List(t.Context(), func(deadletter.Letter) error { return nil }); err != nil {
		t.Error(err)
	}
	l, err := deadletter.New(operator).Get(t.Context(), letter.Sequence)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := deadletter.New(operator).Redrive(t.Context(), l); err != nil {
		t.Error(err)
	}
	eventually(t, "it is given up again", func() bool {
		n, err := deadletter.New(b.bus).Count(t.Context())
		return err == nil && n == 1
	})
	request := deadletter.Letter{Sequence: 9, Time: time.Now(), Stream: events.StreamRequests, Subject: events.TypePipelineRequested, Body: []byte(`{}`)}
	if _, err := deadletter.New(operator).Redrive(t.Context(), request); err != nil {
		t.Errorf("a request: %v", err)
	}
}
