package bustest_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus"
)

// syncs are the two ways in which a server may keep what it acknowledges.
func syncs(b *testing.B, run func(b *testing.B, relaxed bool)) {
	b.Run("sync=always", func(b *testing.B) { run(b, false) })
	b.Run("sync=default", func(b *testing.B) { run(b, true) })
}

func layOut(b *testing.B, relaxed bool) (*embedded.Server, *bus.Bus) {
	b.Helper()
	s := bustest.Start(b, embedded.Options{Dir: b.TempDir(), RelaxedSync: relaxed})
	c := bustest.Connect(b, s)
	if err := c.Setup(b.Context(), bus.Layout{}); err != nil {
		b.Fatal(err)
	}
	return s, c
}

// BenchmarkHop is one step of a service: a job is delivered, a fact is stored
// under a fence, what follows is stored, and the job is acknowledged.
func BenchmarkHop(b *testing.B) {
	syncs(b, func(b *testing.B, relaxed bool) {
		s, client := layOut(b, relaxed)
		services := bustest.Connect(b, s)
		done := make(chan struct{}, 1)
		r, err := bus.NewReceiver(services, bustest.Logger(b))
		if err != nil {
			b.Fatal(err)
		}
		r.Add(jobs(func(ctx context.Context, d bus.Delivery) error {
			run := d.Event.(events.PhaseRequested).RunID
			fact := events.PhaseCompleted{RunID: run, Phase: events.Finetune, Attempt: 1, Conclusion: events.Success}
			if _, err := services.Publish(ctx, fact, bus.IfNone(fact.Subject())); err != nil {
				return err
			}
			next := events.PhaseRequested{RunID: run, Phase: events.Inference, Queue: "builtin"}
			if _, err := services.Publish(ctx, next, bus.Fence{}); err != nil {
				return err
			}
			done <- struct{}{}
			return nil
		}))
		ctx, cancel := context.WithCancel(b.Context())
		ended := make(chan error, 1)
		go func() { ended <- r.Run(ctx) }()
		<-r.Running()
		b.ResetTimer()
		start := time.Now()
		for i := range b.N {
			if _, err := client.Publish(ctx, job(fmt.Sprintf("r%d", i)), bus.Fence{}); err != nil {
				b.Fatal(err)
			}
			<-done
		}
		b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "hops/s")
		b.StopTimer()
		cancel()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
}

// BenchmarkBarePipeline is the ceiling of the whole no-op pipeline: the same
// messages in the same order, of the usual sizes, with nothing of tunebus
// around them: 12 publishes, one after the other, and 4 confirmed acks. A real
// run also reads itself back, asks under fences, and is tracked. Latency is
// one pipeline at a time, throughput 32 at once.
func BenchmarkBarePipeline(b *testing.B) {
	syncs(b, func(b *testing.B, relaxed bool) {
		b.Run("latency", func(b *testing.B) { bare(b, relaxed, 1) })
		b.Run("throughput", func(b *testing.B) { bare(b, relaxed, 32) })
	})
}

// hop is a step of the bare pipeline: a durable, and what is published for
// each of its messages.
type hop struct {
	stream, durable string
	says            []said
}

// said is a message: its subject, with the run's id for %s, and its size.
type said struct {
	subject string
	size    int
}

// hops are the services of a run with three phases.
func hops() []hop {
	job := func(p events.Phase) said { return said{string(p) + ".requested.%s.builtin", 4096} }
	phase := func(p events.Phase, next said) hop {
		return hop{events.StreamFacts, bus.JobDurable(p, "builtin"),
			[]said{{string(p) + ".started.%s.1", 640}, {string(p) + ".completed.%s", 768}, next}}
	}
	return []hop{
		{events.StreamRequests, bus.DurableIntake, []said{{"pipeline.accepted.%s", 4096}, job(events.Finetune)}},
		phase(events.Finetune, job(events.Inference)),
		phase(events.Inference, job(events.Evaluation)),
		phase(events.Evaluation, said{"pipeline.completed.%s", 1024}),
	}
}

func bare(b *testing.B, relaxed bool, inFlight int) {
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
	_, services := connect()
	nc, client := connect()
	ctx, cancel := context.WithCancel(b.Context())
	var work sync.WaitGroup
	for _, h := range hops() {
		consumer, err := services.Consumer(ctx, h.stream, h.durable)
		if err != nil {
			b.Fatal(err)
		}
		for range min(inFlight, 8) {
			work.Go(func() { h.serve(ctx, b, services, consumer) })
		}
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
		msg := &nats.Msg{Subject: events.TypePipelineRequested, Data: make([]byte, 2048), Header: nats.Header{"Run": {fmt.Sprintf("r%d", i)}}}
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

// serve is a service without anything around it.
func (h hop) serve(ctx context.Context, b *testing.B, js jetstream.JetStream, consumer jetstream.Consumer) {
	for ctx.Err() == nil {
		batch, err := consumer.Fetch(1, jetstream.FetchContext(ctx))
		if err != nil {
			return
		}
		for msg := range batch.Messages() {
			run := msg.Headers().Get("Run")
			for _, s := range h.says {
				out := nats.NewMsg(strings.ReplaceAll(s.subject, "%s", run))
				out.Data, out.Header["Run"] = make([]byte, s.size), []string{run}
				if _, err := js.PublishMsg(ctx, out); err != nil && ctx.Err() == nil {
					b.Error(err)
				}
			}
			if err := msg.DoubleAck(ctx); err != nil && ctx.Err() == nil {
				b.Error(err)
			}
		}
	}
}
