package bustest_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// deliverAtMost lets the fine-tuning queue deliver a job n times.
func (b *bench) deliverAtMost(t *testing.T, n int) jetstream.Consumer {
	t.Helper()
	c, err := b.js.Consumer(t.Context(), events.StreamFacts, topology.JobConsumer(events.Finetune, "builtin"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := c.CachedInfo().Config
	cfg.MaxDeliver = n
	c, err = b.js.UpdateConsumer(t.Context(), events.StreamFacts, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestExhaustedWithoutAWord: workers that die or hang with a message in their
// hands leave nothing but the server's advisory; who reads that stores the
// letter. What somebody else's consumer gave up is none of it.
func TestExhaustedWithoutAWord(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{AckWait: time.Second})
	c := b.deliverAtMost(t, 2)
	foreign, err := b.js.CreateConsumer(t.Context(), events.StreamFacts, jetstream.ConsumerConfig{
		Durable: "foreign", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 100 * time.Millisecond, MaxDeliver: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	seq := b.publish(t, job("r1")).Sequence
	take := func(c jetstream.Consumer) {
		t.Helper()
		if _, err := c.Next(jetstream.FetchMaxWait(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
	take(foreign)
	take(c)
	take(c)
	b.receive(t, b.bus, jobs(func(context.Context, delivery.Delivery) error { return nil }), deadletter.New(b.bus).MaxDeliveriesRoute()) // the next look lets the server notice
	l := b.letters(t, 1)[0]
	if l.Original != seq || l.Consumer != topology.JobConsumer(events.Finetune, "builtin") || !strings.Contains(l.Reason, "never answered") || !strings.Contains(string(l.Body), `"r1"`) {
		t.Errorf("letter %+v", l)
	}
	eventually(t, "both advisories are dealt with", func() bool {
		c, err := b.js.Consumer(t.Context(), events.StreamDead, topology.ConsumerDeadLetters)
		if err != nil {
			t.Fatal(err)
		}
		info := c.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0 && info.Delivered.Consumer >= 2
	})
	b.letters(t, 1)
}

// TestExhaustedInAQueueThatIsGone: a job leaves its letter also where the
// queue was removed before anybody heard of it, or was set up by a version
// whose queues took nothing back.
func TestExhaustedInAQueueThatIsGone(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*testing.T, *bench, jetstream.ConsumerConfig){
		"removed": func(t *testing.T, b *bench, c jetstream.ConsumerConfig) {
			if err := b.js.DeleteConsumer(t.Context(), events.StreamFacts, c.Durable); err != nil {
				t.Fatal(err)
			}
		},
		"old": func(t *testing.T, b *bench, c jetstream.ConsumerConfig) {
			c.FilterSubjects = []string{events.JobFilter(events.Finetune, "builtin")}
			if _, err := b.js.UpdateConsumer(t.Context(), events.StreamFacts, c); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, topology.Topology{AckWait: 100 * time.Millisecond})
			c := b.deliverAtMost(t, 1)
			seq := b.publish(t, job("r1")).Sequence
			if _, err := c.Next(jetstream.FetchMaxWait(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			dead, err := b.js.Stream(t.Context(), events.StreamDead)
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "the server notices", func() bool {
				if msg, err := c.Next(jetstream.FetchMaxWait(50 * time.Millisecond)); err == nil {
					t.Fatalf("delivered again: %s", msg.Subject())
				}
				_, err := dead.GetLastMsgForSubject(t.Context(), "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>")
				return err == nil
			})
			change(t, b, c.CachedInfo().Config)
			b.receive(t, b.bus, deadletter.New(b.bus).MaxDeliveriesRoute())
			if l := b.letters(t, 1)[0]; l.Original != seq || l.Consumer != topology.JobConsumer(events.Finetune, "builtin") || l.Run != "r1" {
				t.Errorf("letter %+v", l)
			}
		})
	}
}
