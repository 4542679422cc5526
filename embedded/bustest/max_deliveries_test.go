package bustest_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// setMaxDeliver limits the deliveries of the fine-tuning queue to n a job.
func (s *testServer) setMaxDeliver(t *testing.T, n int) jetstream.Consumer {
	t.Helper()
	c, err := s.js.Consumer(t.Context(), events.StreamFacts, topology.JobConsumer(events.Finetune, "builtin"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := c.CachedInfo().Config
	cfg.MaxDeliver = n
	c, err = s.js.UpdateConsumer(t.Context(), events.StreamFacts, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestMaxDeliveriesRoute: if workers die or hang with a job until the last
// delivery, only the server's advisory shows that. The route stores the dead
// letter from it, and ignores the advisories of consumers of other programs.
func TestMaxDeliveriesRoute(t *testing.T) {
	t.Parallel()
	s := newTestServer(t, topology.Topology{AckWait: time.Second})
	c := s.setMaxDeliver(t, 2)
	foreign, err := s.js.CreateConsumer(t.Context(), events.StreamFacts, jetstream.ConsumerConfig{
		Durable: "foreign", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 100 * time.Millisecond, MaxDeliver: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	seq := s.publish(t, job("r1")).Sequence
	fetch := func(c jetstream.Consumer) {
		t.Helper()
		if _, err := c.Next(jetstream.FetchMaxWait(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	fetch(foreign)
	fetch(c)
	fetch(c)
	// The server sends the advisory when the consumer is asked once more.
	s.runRouter(t, s.conn, jobRoute(func(context.Context, delivery.Delivery) error { return nil }), deadletter.New(s.conn).MaxDeliveriesRoute())
	l := s.waitForDeadLetters(t, 1)[0]
	wantEqual(t, "the sequence of the original", l.Original, seq)
	wantEqual(t, "the consumer", l.Consumer, topology.JobConsumer(events.Finetune, "builtin"))
	wantContains(t, "the reason", l.Reason, "never answered")
	wantContains(t, "the body", string(l.Body), `"r1"`)
	eventually(t, "both advisories are settled", func() bool {
		c, err := s.js.Consumer(t.Context(), events.StreamDead, topology.ConsumerDeadLetters)
		if err != nil {
			t.Fatal(err)
		}
		info := c.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0 && info.Delivered.Consumer >= 2
	})
	s.waitForDeadLetters(t, 1)
}

// TestMaxDeliveriesRouteOfRemovedQueue: the dead letter is stored although the
// queue was removed before the advisory was read, or was created by an older
// version, whose queues do not take redriven messages.
func TestMaxDeliveriesRouteOfRemovedQueue(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*testing.T, *testServer, jetstream.ConsumerConfig){
		"removed": func(t *testing.T, s *testServer, c jetstream.ConsumerConfig) {
			if err := s.js.DeleteConsumer(t.Context(), events.StreamFacts, c.Durable); err != nil {
				t.Fatal(err)
			}
		},
		"old": func(t *testing.T, s *testServer, c jetstream.ConsumerConfig) {
			c.FilterSubjects = []string{events.JobFilter(events.Finetune, "builtin")}
			if _, err := s.js.UpdateConsumer(t.Context(), events.StreamFacts, c); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newTestServer(t, topology.Topology{AckWait: 100 * time.Millisecond})
			c := s.setMaxDeliver(t, 1)
			seq := s.publish(t, job("r1")).Sequence
			if _, err := c.Next(jetstream.FetchMaxWait(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			dead, err := s.js.Stream(t.Context(), events.StreamDead)
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the advisory is stored", func() bool {
				if msg, err := c.Next(jetstream.FetchMaxWait(50 * time.Millisecond)); err == nil {
					t.Fatalf("delivered again: %s", msg.Subject())
				}
				_, err := dead.GetLastMsgForSubject(t.Context(), "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>")
				return err == nil
			})
			change(t, s, c.CachedInfo().Config)
			s.runRouter(t, s.conn, deadletter.New(s.conn).MaxDeliveriesRoute())
			l := s.waitForDeadLetters(t, 1)[0]
			wantEqual(t, "the sequence of the original", l.Original, seq)
			wantEqual(t, "the consumer", l.Consumer, topology.JobConsumer(events.Finetune, "builtin"))
			wantEqual(t, "the run", l.Run, "r1")
		})
	}
}
