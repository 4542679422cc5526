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

// BenchmarkBarePipeline publishes the messages that a no-op pipeline stores: 12
// messages of the same sizes, one after the other, and 4 confirmed acks, with
// plain nats.go. Latency is one pipeline at a time, throughput 32 at once.
func BenchmarkBarePipeline(b *testing.B) { measure(b, stored) }

// BenchmarkBareTraffic is the upper bound for the whole no-op pipeline: the same
// messages in the same order, with plain nats.go. In addition to the stored
// messages these are the read of the run before each publish, the message ids and
// fences, and the wake-ups of the workers, the deadline and the tracker.
func BenchmarkBareTraffic(b *testing.B) { measure(b, traffic) }

// extent is the part of a pipeline's messages that a benchmark sends.
type extent int

const (
	stored  extent = iota // the stored messages
	traffic               // all of them
)

// measure measures the latency of one pipeline at a time, and the throughput of 32
// at the same time.
func measure(b *testing.B, extent extent) {
	eachSyncMode(b, func(b *testing.B, relaxed bool) {
		b.Run("latency", func(b *testing.B) { bare(b, relaxed, extent, 1) })
		b.Run("throughput", func(b *testing.B) { bare(b, relaxed, extent, 32) })
	})
}

// step is one service of the bare pipeline: its consumer, the subjects that it
// reads for each message, and the messages that it then publishes.
type step struct {
	stream, consumer string
	reads            func(run string) []string
	publishes        []publication
}

// publication is a message of a step. In the subjects %s stands for the run's id.
// A fence is a subject that has to be empty: that of the completion for a claim,
// and that of the next claim for a completion.
type publication struct {
	subject string
	size    int
	fence   string // subject of the fence; empty: no fence
}

// steps are the services of a run with three phases.
func steps() []step {
	job := func(p events.Phase) publication {
		return publication{subject: string(p) + ".requested.%s.builtin", size: 3100}
	}
	phase := func(p events.Phase, next publication) step {
		started := publication{subject: string(p) + ".started.%s.1", size: 450, fence: events.CompletedSubject(p, "%s")}
		completed := publication{subject: events.CompletedSubject(p, "%s"), size: 460, fence: string(p) + ".started.%s.2"}
		reads := func(run string) []string {
			return events.JobFilters(events.PhaseRequested{RunID: run, Phase: p, RequestedAt: time.Unix(1, 0)})
		}
		return step{events.StreamFacts, topology.JobConsumer(p, "builtin"), reads, []publication{started, completed, next}}
	}
	accepted := publication{subject: "pipeline.accepted.%s", size: 3100}
	return []step{
		{events.StreamRequests, topology.ConsumerIntake, events.RunFilters, []publication{accepted, job(events.Finetune)}},
		phase(events.Finetune, job(events.Inference)),
		phase(events.Inference, job(events.Evaluation)),
		phase(events.Evaluation, publication{subject: "pipeline.completed.%s", size: 730}),
	}
}

// bare runs b.N pipelines.
func bare(b *testing.B, relaxed bool, extent extent, inFlight int) {
	server, _ := newServer(b, relaxed)
	connect := func() (*nats.Conn, jetstream.JetStream) {
		nc, err := nats.Connect("", nats.InProcessServer(server))
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
	for _, s := range steps() {
		consumer, err := services.Consumer(ctx, s.stream, s.consumer)
		if err != nil {
			b.Fatal(err)
		}
		for range min(inFlight, 8) {
			work.Go(func() { s.serve(ctx, b, extent, services, consumer) })
		}
	}
	if extent == traffic {
		subscribeWakeups(ctx, b, &work, servicesConn, services)
	}
	ended := make(chan struct{}, inFlight)
	sub, err := nc.Subscribe("pipeline.completed.*", func(*nats.Msg) { ended <- struct{}{} })
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	start := time.Now()
	running := 0
	for i := range b.N {
		msg := &nats.Msg{Subject: events.TypePipelineRequested, Data: make([]byte, 460), Header: nats.Header{"Run": {fmt.Sprintf("r%d", i)}}}
		if extent == traffic {
			identify(msg, fmt.Sprintf("%s/%d", msg.Subject, i))
		}
		if _, err := client.PublishMsg(ctx, msg); err != nil {
			b.Fatal(err)
		}
		if running++; running == inFlight {
			<-ended
			running--
		}
	}
	for range running {
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

// subscribeWakeups subscribes to the messages that wake the workers, the deadline
// and the tracker.
func subscribeWakeups(ctx context.Context, b *testing.B, work *sync.WaitGroup, nc *nats.Conn, js jetstream.JetStream) {
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

// serve does the work of the service.
func (s step) serve(ctx context.Context, b *testing.B, extent extent, js jetstream.JetStream, consumer jetstream.Consumer) {
	sub, err := js.Conn().SubscribeSync(js.Conn().NewInbox())
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
			if extent == traffic {
				err = readRun(ctx, js.Conn(), sub, s.reads(run))
			}
			for _, p := range s.publishes {
				if err == nil {
					err = p.publish(ctx, js, extent, run)
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

// publish stores the message.
func (p publication) publish(ctx context.Context, js jetstream.JetStream, extent extent, run string) error {
	of := func(text string) string { return strings.ReplaceAll(text, "%s", run) }
	msg := nats.NewMsg(of(p.subject))
	msg.Data, msg.Header["Run"] = make([]byte, p.size), []string{run}
	var opts []jetstream.PublishOpt
	if extent == traffic {
		identify(msg, msg.Subject)
		if p.fence != "" {
			opts = append(opts, jetstream.WithExpectLastSequenceForSubject(0, of(p.fence)))
		}
	}
	_, err := js.PublishMsg(ctx, msg, opts...)
	return err
}

// identify sets the headers of an event.
func identify(msg *nats.Msg, id string) {
	msg.Header["Nats-Msg-Id"] = []string{id}
	msg.Header["Content-Type"] = []string{"application/cloudevents+json"}
	msg.Header["traceparent"] = []string{"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
}

// readRun reads the facts of a run.
func readRun(ctx context.Context, nc *nats.Conn, replies *nats.Subscription, filters []string) error {
	req, err := json.Marshal(map[string]any{"multi_last": filters, "batch": 1024, "max_bytes": 16 << 20})
	if err != nil {
		return err
	}
	if err := nc.PublishRequest("$JS.API.DIRECT.GET."+events.StreamFacts, replies.Subject, req); err != nil {
		return err
	}
	for {
		msg, err := replies.NextMsgWithContext(ctx)
		if err != nil || msg.Header.Get("Status") != "" {
			return err
		}
	}
}
