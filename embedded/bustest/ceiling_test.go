package bustest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// BenchmarkBarePipeline is what is stored for a no-op pipeline: 12 publishes of
// the sizes that they have there, one after the other, and 4 confirmed acks,
// with plain nats.go and nothing of tunebus around them. Latency is one
// pipeline at a time, throughput 32 at once.
func BenchmarkBarePipeline(b *testing.B) { ceiling(b, stored) }

// BenchmarkBareTraffic is the ceiling of the whole no-op pipeline: the same
// messages in the same order with nothing of tunebus around them. Beside what
// is stored these are the read that each service makes of a run before it
// says something about it, the ids and fences under which it says that, and
// the doorbells: what the worker of a job, the deadline and the tracker hear
// of every run.
func BenchmarkBareTraffic(b *testing.B) { ceiling(b, traffic) }

// extent is which messages of a pipeline are sent.
type extent int

const (
	stored extent = iota
	traffic
)

func ceiling(b *testing.B, what extent) {
	syncs(b, func(b *testing.B, relaxed bool) {
		b.Run("latency", func(b *testing.B) { bare(b, relaxed, what, 1) })
		b.Run("throughput", func(b *testing.B) { bare(b, relaxed, what, 32) })
	})
}

// hop is a step of the bare pipeline: a durable, what is read for each of its
// messages, and what is published then.
type hop struct {
	stream, durable string
	reads           func(run string) []string
	says            []said
}

// said is a message: its subject, with the run's id for %s, its size, and the
// subject of its fence, if it has one. The fence of a claim is that nothing
// stands there, that of a holder the sequence of its claim.
type said struct {
	subject string
	size    int
	fence   string
	holder  bool
}

// hops are the services of a run with three phases.
func hops() []hop {
	job := func(p events.Phase) said {
		return said{subject: string(p) + ".requested.%s.builtin", size: 3100}
	}
	phase := func(p events.Phase, next said) hop {
		started := said{subject: string(p) + ".started.%s.1", size: 450, fence: events.CompletedSubject(p, "%s")}
		completed := said{subject: events.CompletedSubject(p, "%s"), size: 460, fence: events.StartedFilter(p, "%s"), holder: true}
		reads := func(run string) []string {
			return events.JobFilters(events.PhaseRequested{RunID: run, Phase: p, RequestedAt: time.Unix(1, 0)})
		}
		return hop{events.StreamFacts, topology.JobConsumer(p, "builtin"), reads, []said{started, completed, next}}
	}
	accepted := said{subject: "pipeline.accepted.%s", size: 3100}
	return []hop{
		{events.StreamRequests, topology.ConsumerIntake, events.RunFilters, []said{accepted, job(events.Finetune)}},
		phase(events.Finetune, job(events.Inference)),
		phase(events.Inference, job(events.Evaluation)),
		phase(events.Evaluation, said{subject: "pipeline.completed.%s", size: 730}),
	}
}

func bare(b *testing.B, relaxed bool, what extent, inFlight int) {
	s, _ := layOut(b, relaxed)
	connect := func() (*nats.Conn, jetstream.JetStream) {
		nc, err := nats.Connect("", nats.InProcessServer(s))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(nc.Close)
		js, err := jetstream.New(nc)
		if err != nil {
			b.Fatal(err)
		}
		return nc, js
	}
	servicesConn, services := connect()
	nc, client := connect()
	ctx, cancel := context.WithCancel(b.Context())
	var work sync.WaitGroup
	for _, h := range hops() {
		consumer, err := services.Consumer(ctx, h.stream, h.durable)
		if err != nil {
			b.Fatal(err)
		}
		for range min(inFlight, 8) {
			work.Go(func() { h.serve(ctx, b, what, services, consumer) })
		}
	}
	if what == traffic {
		ring(ctx, b, &work, servicesConn, services)
	}
	ended := make(chan struct{}, inFlight)
	sub, err := nc.Subscribe("pipeline.completed.*", func(*nats.Msg) { ended <- struct{}{} })
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	start := time.Now()
	going := 0
	for i := range b.N {
		msg := &nats.Msg{Subject: events.TypePipelineRequested, Data: make([]byte, 460), Header: nats.Header{"Run": {fmt.Sprintf("r%d", i)}}}
		if what == traffic {
			identify(msg, fmt.Sprintf("%s/%d", msg.Subject, i))
		}
		if _, err := client.PublishMsg(ctx, msg); err != nil {
			b.Fatal(err)
		}
		if going++; going == inFlight {
			<-ended
			going--
		}
	}
	for range going {
		<-ended
	}
	took := time.Since(start)
	b.ReportMetric(float64(b.N)/took.Seconds(), "pipelines/s")
	if inFlight == 1 {
		b.ReportMetric(took.Seconds()*1e3/float64(b.N), "ms/pipeline")
	}
	b.StopTimer()
	_ = sub.Unsubscribe()
	cancel()
	work.Wait()
}

// ring hears what doorbells hear.
func ring(ctx context.Context, b *testing.B, work *sync.WaitGroup, nc *nats.Conn, js jetstream.JetStream) {
	b.Helper()
	for _, p := range events.Phases() {
		for _, subject := range []string{events.StartedFilter(p, "*"), events.CompletedSubject(p, "*"), events.TypeCancelRequested + ".*"} {
			if _, err := nc.Subscribe(subject, func(*nats.Msg) {}); err != nil {
				b.Fatal(err)
			}
		}
	}
	for _, durable := range []string{topology.ConsumerDeadline, topology.ConsumerTracker} {
		consumer, err := js.Consumer(ctx, events.StreamFacts, durable)
		if err != nil {
			b.Fatal(err)
		}
		work.Go(func() {
			for ctx.Err() == nil {
				batch, err := consumer.Fetch(64, jetstream.FetchContext(ctx))
				if err != nil {
					return
				}
				for msg := range batch.Messages() {
					if err := msg.Ack(); err != nil && ctx.Err() == nil {
						b.Error(err)
					}
				}
			}
		})
	}
}

// serve is a service without anything around it.
func (h hop) serve(ctx context.Context, b *testing.B, what extent, js jetstream.JetStream, consumer jetstream.Consumer) {
	answers := js.Conn().NewInbox()
	sub, err := js.Conn().SubscribeSync(answers)
	if err != nil {
		b.Error(err)
		return
	}
	for ctx.Err() == nil {
		batch, err := consumer.Fetch(1, jetstream.FetchContext(ctx))
		if err != nil {
			return
		}
		for msg := range batch.Messages() {
			run := msg.Headers().Get("Run")
			if what == traffic {
				err = look(ctx, js.Conn(), sub, h.reads(run))
			}
			var before uint64
			for _, s := range h.says {
				if err == nil {
					before, err = s.publish(ctx, js, what, run, before)
				}
			}
			if err == nil {
				err = msg.DoubleAck(ctx)
			}
			if err != nil && ctx.Err() == nil {
				b.Error(err)
				return
			}
		}
	}
}

// publish stores the message behind the one at the sequence before, and
// returns its own sequence.
func (s said) publish(ctx context.Context, js jetstream.JetStream, what extent, run string, before uint64) (uint64, error) {
	of := func(text string) string { return strings.ReplaceAll(text, "%s", run) }
	msg := nats.NewMsg(of(s.subject))
	msg.Data, msg.Header["Run"] = make([]byte, s.size), []string{run}
	var opts []jetstream.PublishOpt
	if what == traffic {
		identify(msg, msg.Subject)
		if s.fence != "" {
			if !s.holder {
				before = 0
			}
			opts = append(opts, jetstream.WithExpectLastSequenceForSubject(before, of(s.fence)))
		}
	}
	ack, err := js.PublishMsg(ctx, msg, opts...)
	if err != nil {
		return 0, err
	}
	return ack.Sequence, nil
}

// identify gives a message the headers that an event has.
func identify(msg *nats.Msg, id string) {
	msg.Header["Nats-Msg-Id"] = []string{id}
	msg.Header["Content-Type"] = []string{"application/cloudevents+json"}
	msg.Header["traceparent"] = []string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
}

// look reads what is stored of a run.
func look(ctx context.Context, nc *nats.Conn, answers *nats.Subscription, filters []string) error {
	req, err := json.Marshal(map[string]any{"multi_last": filters, "batch": 1024, "max_bytes": 16 << 20})
	if err != nil {
		return err
	}
	if err := nc.PublishRequest("$JS.API.DIRECT.GET."+events.StreamFacts, answers.Subject, req); err != nil {
		return err
	}
	for {
		msg, err := answers.NextMsgWithContext(ctx)
		if err != nil || msg.Header.Get("Status") != "" {
			return err
		}
	}
}
