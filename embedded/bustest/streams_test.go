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
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// bench is a server with the real streams, a bus, and a client that knows
// nothing of tunebus.
type bench struct {
	server *embedded.Server
	bus    *conn.Conn
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

func newBench(t *testing.T, layout topology.Topology) *bench {
	t.Helper()
	s := bustest.Start(t, embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RelaxedSync: true})
	b := &bench{server: s, log: &lines{}}
	b.bus = b.connect(t, s.URL())
	if layout.AckWait == 0 {
		layout.AckWait = 2 * time.Second
	}
	if err := topology.Apply(t.Context(), b.bus, layout); err != nil {
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

func (b *bench) connect(t *testing.T, url string) *conn.Conn {
	t.Helper()
	c, err := conn.Connect(context.WithoutCancel(t.Context()), conn.Options{URL: url, Name: "test", Logger: slog.New(slog.NewTextHandler(b.log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// receive runs routes until the test ends, or stop is called; stop returns
// how long the end took.
func (b *bench) receive(t *testing.T, on *conn.Conn, routes ...delivery.Route) (stop func() time.Duration) {
	t.Helper()
	r, err := delivery.NewRouter(on, deadletter.New(on), slog.New(slog.NewTextHandler(b.log, nil)))
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
func jobs(handle delivery.Handler) delivery.Route {
	return delivery.Route{Name: "jobs", Stream: events.StreamFacts, Consumer: topology.JobConsumer(events.Finetune, "builtin"), Handle: handle}
}

// job is a fact that the queue's consumer delivers.
func job(run string) events.PhaseRequested {
	return events.PhaseRequested{RunID: run, Phase: events.Finetune, Queue: "builtin"}
}

func (b *bench) publish(t *testing.T, ev events.Event) codec.Message {
	t.Helper()
	m, err := journal.New(b.bus).Publish(t.Context(), ev, journal.Fence{})
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
	c, err := b.js.Consumer(t.Context(), events.StreamFacts, topology.JobConsumer(events.Finetune, "builtin"))
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
	b := newBench(t, topology.Topology{FactBytes: 64 << 10})
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
		_, err := journal.New(b.bus).Publish(t.Context(), big, journal.Fence{})
		done <- err
	}()
	eventually(t, "a loud report", func() bool { return b.log.has("the stream is full") })
	select {
	case err := <-done:
		t.Fatalf("it ended early: %v", err)
	default:
	}
	if err := topology.Apply(t.Context(), b.bus, topology.Topology{FactBytes: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if _, err := history.New(b.bus).Latest(t.Context(), big.Subject()); err != nil {
		t.Error(err)
	}
}

// TestFullStreamEndsWithItsContext: nobody waits longer than they want to.
func TestFullStreamEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := newBench(t, topology.Topology{FactBytes: 2 << 10})
	big := events.AttemptEnded{RunID: "r1", Phase: events.Finetune, Attempt: 1, Error: &events.Problem{Message: strings.Repeat("x", 4<<10)}}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := journal.New(b.bus).Publish(ctx, big, journal.Fence{})
	var lost *journal.FencedError
	if !errors.Is(err, context.DeadlineExceeded) || errors.As(err, &lost) {
		t.Errorf("got %v, want the deadline", err)
	}
}

// TestLostAnswerIsReadBack: the server stored the event and the answer never
// came. The publisher finds its own event and is content.
func TestLostAnswerIsReadBack(t *testing.T) {
	t.Parallel()
	for name, fence := range map[string]journal.Fence{"no fence": {}, "first claim": journal.FenceAbsent(completed(1).Subject())} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t, topology.Topology{})
			proxy := bustest.NewProxy(t, b.server.URL())
			client := b.connect(t, proxy.URL)
			proxy.Mute()
			done := make(chan error, 1)
			go func() {
				_, err := journal.New(client).Publish(t.Context(), started(1), fence)
				done <- err
			}()
			eventually(t, "the event is stored", func() bool {
				_, err := history.New(b.bus).Latest(t.Context(), started(1).Subject())
				return err == nil
			})
			proxy.Cut()
			proxy.Mend()
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			run, err := history.New(b.bus).Run(t.Context(), "r1")
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
	b := newBench(t, topology.Topology{})
	b.publish(t, started(1))
	proxy := bustest.NewProxy(t, b.server.URL())
	client := b.connect(t, proxy.URL)
	proxy.Mute()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if msgs, err := history.New(client).Facts(ctx, "r1"); err == nil {
		t.Errorf("%d facts without the server's word that these are all", len(msgs))
	}
}
