package bustest_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
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

// bench is a server with the real streams, a bus, and a client that knows
// nothing of tunebus.
type bench struct {
	server *embedded.Server
	bus    *bus.Bus
	js     jetstream.JetStream
	log    *lines
}

// lines is a log that tests read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.b.String(), text)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(strings.ToLower(l.b.String()), text)
}

func newBench(t *testing.T, layout bus.Layout) *bench {
	t.Helper()
	s := bustest.Start(t, embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RelaxedSync: true})
	b := &bench{server: s, log: &lines{}}
	b.bus = b.connect(t, s.URL())
	if layout.AckWait == 0 {
		layout.AckWait = 2 * time.Second
	}
	if err := b.bus.Setup(t.Context(), layout); err != nil {
		t.Fatal(err)
	}
	nc, err := nats.Connect(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	if b.js, err = jetstream.New(nc); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) connect(t *testing.T, url string) *bus.Bus {
	t.Helper()
	c, err := bus.Connect(context.WithoutCancel(t.Context()), bus.Options{URL: url, Name: "test", Logger: slog.New(slog.NewTextHandler(b.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// receive runs routes until the test ends, or stop is called; stop returns
// how long the end took.
func (b *bench) receive(t *testing.T, on *bus.Bus, routes ...bus.Route) (stop func() time.Duration) {
	t.Helper()
	r, err := bus.NewReceiver(on, slog.New(slog.NewTextHandler(b.log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, route := range routes {
		r.Add(route)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	<-r.Running()
	end := sync.OnceValue(func() time.Duration {
		start := time.Now()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		return time.Since(start)
	})
	t.Cleanup(func() { end() })
	return end
}

// jobs is the route of the fine-tuning queue.
func jobs(handle bus.Handler) bus.Route {
	return bus.Route{Name: "jobs", Stream: events.StreamFacts, Durable: bus.JobDurable(events.Finetune, "builtin"), Handle: handle}
}

// job is a fact that the queue's consumer delivers.
func job(run string) events.PhaseRequested {
	return events.PhaseRequested{RunID: run, Phase: events.Finetune, Queue: "builtin"}
}

func (b *bench) publish(t *testing.T, ev events.Event) bus.Message {
	t.Helper()
	m, err := b.bus.Publish(t.Context(), ev, bus.Fence{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (b *bench) raw(t *testing.T, subject, body string, header nats.Header) uint64 {
	t.Helper()
	ack, err := b.js.PublishMsg(t.Context(), &nats.Msg{Subject: subject, Data: []byte(body), Header: header})
	if err != nil {
		t.Fatal(err)
	}
	return ack.Sequence
}

// pending is how many messages of the fine-tuning queue are delivered and not
// settled, and how many wait.
func (b *bench) pending(t *testing.T) (unsettled, waiting int) {
	t.Helper()
	c, err := b.js.Consumer(t.Context(), events.StreamFacts, bus.JobDurable(events.Finetune, "builtin"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := c.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.NumAckPending, int(info.NumPending)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// TestFullStreamIsWaitedFor: a publisher meets a full stream with retries and
// a loud report, and loses nothing.
func TestFullStreamIsWaitedFor(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Layout{FactBytes: 64 << 10})
	filler := strings.Repeat("x", 8<<10)
	for i := 0; ; i++ {
		_, err := b.js.Publish(t.Context(), events.AttemptEnded{RunID: "fill", Phase: events.Finetune, Attempt: i + 1}.Subject(), []byte(filler))
		if err != nil {
			break
		}
		if i > 100 {
			t.Fatal("the stream does not get full")
		}
	}
	big := events.AttemptEnded{RunID: "r1", Phase: events.Finetune, Attempt: 1, Error: &events.Problem{Message: filler}}
	done := make(chan error, 1)
	go func() {
		_, err := b.bus.Publish(t.Context(), big, bus.Fence{})
		done <- err
	}()
	eventually(t, "a loud report", func() bool { return b.log.has("the stream is full") })
	select {
	case err := <-done:
		t.Fatalf("it ended early: %v", err)
	default:
	}
	if err := b.bus.Setup(t.Context(), bus.Layout{FactBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := b.bus.Last(t.Context(), big.Subject()); err != nil {
		t.Error(err)
	}
}

// TestFullStreamEndsWithItsContext: nobody waits longer than they want to.
func TestFullStreamEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Layout{FactBytes: 2 << 10})
	big := events.AttemptEnded{RunID: "r1", Phase: events.Finetune, Attempt: 1, Error: &events.Problem{Message: strings.Repeat("x", 4<<10)}}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := b.bus.Publish(ctx, big, bus.Fence{})
	var lost *bus.LostError
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &lost) {
		t.Errorf("got %v, want the deadline", err)
	}
}

// TestLostAnswerIsReadBack: the server stored the event and the answer never
// came. The publisher finds its own event and is content.
func TestLostAnswerIsReadBack(t *testing.T) {
	t.Parallel()
	for name, fence := range map[string]bus.Fence{"no fence": {}, "first claim": bus.IfNone(completed(1).Subject())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, bus.Layout{})
			proxy := bustest.NewProxy(t, b.server.URL())
			client := b.connect(t, proxy.URL)
			proxy.Mute()
			done := make(chan error, 1)
			go func() {
				_, err := client.Publish(t.Context(), started(1), fence)
				done <- err
			}()
			eventually(t, "the event is stored", func() bool {
				_, err := b.bus.Last(t.Context(), started(1).Subject())
				return err == nil
			})
			proxy.Cut()
			proxy.Mend()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			run, err := b.bus.Run(t.Context(), "r1")
			if err != nil {
				t.Fatal(err)
			}
			if n := len(run.Phases[events.Finetune].Attempts); n != 1 {
				t.Errorf("%d attempts are stored", n)
			}
		})
	}
}

// TestReadingARunIsAllOrNothing: whoever may not read gets an error, never an
// empty run.
func TestReadingARunIsAllOrNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, bus.Layout{})
	b.publish(t, started(1))
	proxy := bustest.NewProxy(t, b.server.URL())
	client := b.connect(t, proxy.URL)
	proxy.Mute()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if msgs, err := client.Facts(ctx, "r1"); err == nil {
		t.Errorf("%d facts without the server's word that these are all", len(msgs))
	}
}
