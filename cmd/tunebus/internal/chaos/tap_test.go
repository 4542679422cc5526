package chaos_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// tap forwards the connections of one process to the nodes. It reads along and
// so knows what the process works on: the messages that it has received and not
// settled, and the leases that it has taken. It can lose what the nodes send.
type tap struct {
	url       string // addresses of the listeners, one for each node
	listeners []net.Listener
	lossy     atomic.Bool // what the nodes send is lost
	stopped   atomic.Bool // new connections are closed at once
	work      sync.WaitGroup

	mu    sync.Mutex
	links map[*link]bool
	// held is the work of the process, by the ack subject of the message or the
	// subject of the lease.
	held map[string]work
	// puts are the subjects of leases, by the inbox that gets the answer to the
	// put.
	puts map[string]string
}

// work is something that a process works on.
type work struct {
	consumer string // the durable consumer, or [leaseOf] a tracker
	name     string // in a readable form
	// until is when the work goes to another process, unless this one shows
	// another sign of life.
	until time.Time
}

// leaseOf stands for the consumer of a lease.
const leaseOf = "lease"

// link is a connection of the process to a node.
type link struct {
	node           *node
	client, server net.Conn
	established    bool // the server has accepted the client
}

func (l *link) close() {
	_ = l.client.Close()
	_ = l.server.Close()
}

// newTap starts a tap. It stops when the test ends.
func newTap(t *testing.T, nodes []*node) *tap {
	t.Helper()
	p := &tap{links: map[*link]bool{}, held: map[string]work{}, puts: map[string]string{}}
	var urls []string
	for _, n := range nodes {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		p.listeners = append(p.listeners, l)
		urls = append(urls, "nats://"+l.Addr().String())
		p.work.Go(func() { p.accept(l, n) })
	}
	p.url = strings.Join(urls, ",")
	t.Cleanup(func() {
		p.stopped.Store(true)
		for _, l := range p.listeners {
			_ = l.Close()
		}
		p.cut()
		p.work.Wait()
	})
	return p
}

func (p *tap) accept(listener net.Listener, n *node) {
	address := strings.TrimPrefix(n.url, "nats://")
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).DialContext(context.Background(), "tcp", address)
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &link{node: n, client: client, server: server}
		p.mu.Lock()
		p.links[l] = true
		p.mu.Unlock()
		if p.stopped.Load() { // the last cut may have missed it
			l.close()
		}
		p.work.Go(func() { p.forward(l, client, server, p.readClientFrame) })
		p.work.Go(func() {
			p.forward(l, server, client, func(line, payload []byte) { p.readServerFrame(l, line, payload) })
		})
	}
}

// cut closes all connections.
func (p *tap) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		l.close()
	}
}

// connected reports whether the process has a connection to a node that runs.
func (p *tap) connected(runs func(*node) bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		if l.established && runs(l.node) {
			return true
		}
	}
	return false
}

// forget forgets the messages of a process that has ended.
func (p *tap) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.held)
	clear(p.puts)
}

// holds returns what the process works on.
func (p *tap) holds() []work {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []work
	for _, w := range p.held {
		if time.Now().Before(w.until) {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b work) int { return strings.Compare(a.name, b.name) })
	return out
}

// forward copies frames until one side closes, then closes both.
func (p *tap) forward(l *link, from, to net.Conn, read func(line, payload []byte)) {
	defer func() {
		l.close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.links, l)
	}()
	in := bufio.NewReaderSize(from, 64<<10)
	for {
		line, payload, err := readFrame(in)
		if err != nil {
			return
		}
		lost := from == l.server && p.lossy.Load()
		if !lost {
			read(line, payload)
			if _, err := to.Write(slices.Concat(line, payload)); err != nil {
				return
			}
		}
	}
}

// readFrame reads one operation of the NATS protocol: a line and, if the line
// announces it, a payload.
func readFrame(in *bufio.Reader) (line, payload []byte, err error) {
	if line, err = in.ReadBytes('\n'); err != nil {
		return nil, nil, err
	}
	fields := bytes.Fields(line)
	if len(fields) < 2 {
		return line, nil, nil
	}
	switch string(bytes.ToUpper(fields[0])) {
	case "MSG", "HMSG", "PUB", "HPUB":
		size, err := strconv.Atoi(string(fields[len(fields)-1]))
		if err != nil || size < 0 || size > 8<<20 {
			return nil, nil, fmt.Errorf("a frame of %s bytes", fields[len(fields)-1])
		}
		payload = make([]byte, size+len("\r\n"))
		_, err = io.ReadFull(in, payload)
		return line, payload, err
	}
	return line, nil, nil
}

// readServerFrame notes a delivery, and the answer to the put of a lease.
func (p *tap) readServerFrame(l *link, line, payload []byte) {
	fields := strings.Fields(string(line))
	if len(fields) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if fields[0] == "PONG" {
		l.established = true
	}
	if fields[0] != "MSG" && fields[0] != "HMSG" {
		return
	}
	if lease, ok := p.puts[fields[1]]; ok {
		delete(p.puts, fields[1])
		if !bytes.Contains(payload, []byte(`"error"`)) {
			p.held[lease] = work{leaseOf, lease[strings.LastIndex(lease, ".track.")+1:], time.Now().Add(topology.LeaseTTL)}
		}
	}
	if len(fields) >= 5 {
		if consumer, sequence, ok := parseDelivery(fields[3]); ok {
			p.held[fields[3]] = work{consumer, consumer + " #" + sequence, time.Now().Add(ackWait)}
		}
	}
}

// readClientFrame notes the answer to a delivery, and what becomes of a lease.
func (p *tap) readClientFrame(line, payload []byte) {
	fields := strings.Fields(string(line))
	if len(fields) < 3 || fields[0] != "PUB" && fields[0] != "HPUB" {
		return
	}
	subject := fields[1]
	p.mu.Lock()
	defer p.mu.Unlock()
	if strings.HasPrefix(subject, "$KV."+topology.BucketLeases+".") {
		if bytes.Contains(payload, []byte("KV-Operation")) { // it is given back
			delete(p.held, subject)
		} else {
			p.puts[fields[2]] = subject
		}
		return
	}
	w, held := p.held[subject]
	switch {
	case !held:
	case bytes.Contains(payload, []byte("+WPI")):
		w.until = time.Now().Add(ackWait)
		p.held[subject] = w
	default:
		delete(p.held, subject)
	}
}

// parseDelivery reads an ack subject, which has a domain and an account in its
// newer form. ok is false for other subjects and for consumers that are not of
// the topology.
func parseDelivery(subject string) (consumer, sequence string, ok bool) {
	tokens := strings.Split(subject, ".")
	if len(tokens) < 9 || tokens[0] != "$JS" || tokens[1] != "ACK" {
		return "", "", false
	}
	rest := tokens[2:]
	if len(tokens) > 9 {
		rest = tokens[4:]
	}
	consumer, sequence = rest[1], rest[3]
	phase, _, isQueue := strings.Cut(consumer, "_")
	named := []string{
		topology.ConsumerIntake, topology.ConsumerCancel, topology.ConsumerDeadline, topology.ConsumerTracker, topology.ConsumerMetrics,
		topology.ConsumerDeadLetters, topology.ConsumerGivenUp,
	}
	return consumer, sequence, slices.Contains(named, consumer) || isQueue && events.Phase(phase).Valid()
}

// TestTapHolds: a process holds a message from its delivery until it settles it,
// and a lease from the confirmation of its put until it gives the lease back.
func TestTapHolds(t *testing.T) {
	t.Parallel()
	const (
		job   = "$JS.ACK.TUNEBUS.finetune_builtin.1.17.4.1700000000.0"
		other = "$JS.ACK.TUNEBUS.rZ8xPzqV.1.17.4.1700000000.0" // of a consumer without a name
		lease = "$KV.tunebus_leases.track.full-1"
	)
	p, l := &tap{held: map[string]work{}, puts: map[string]string{}}, &link{}
	for _, step := range []struct {
		fromServer    bool
		line, payload string
		holds         []string
	}{
		{true, "MSG finetune.requested.full-1.builtin 3 " + job + " 2", "{}", []string{"finetune_builtin #17"}},
		{true, "HMSG finetune.requested.full-1.builtin 4 " + other + " 12 14", "NATS/1.0\r\n\r\n{}", []string{"finetune_builtin #17"}},
		{false, "PUB " + job + " 4", "+WPI", []string{"finetune_builtin #17"}},
		{false, "HPUB " + lease + " _INBOX.a.1 12 20", "NATS/1.0\r\n\r\ntracker", []string{"finetune_builtin #17"}},
		{true, "MSG _INBOX.a.1 1 30", `{"stream":"KV_tunebus_leases","seq":3}`, []string{"finetune_builtin #17", "track.full-1"}},
		{false, "PUB " + job + " _INBOX.a.2 4", "+ACK", []string{"track.full-1"}},
		{false, "HPUB " + lease + " _INBOX.a.3 30 30", "NATS/1.0\r\nKV-Operation: DEL\r\n\r\n", nil},
		{false, "HPUB " + lease + " _INBOX.a.4 12 20", "NATS/1.0\r\n\r\ntracker", nil},
		{true, "MSG _INBOX.a.4 1 30", `{"error":{"code":400,"err_code":10071}}`, nil},
	} {
		if step.fromServer {
			p.readServerFrame(l, []byte(step.line), []byte(step.payload))
		} else {
			p.readClientFrame([]byte(step.line), []byte(step.payload))
		}
		if got := names(p.holds()); !slices.Equal(got, step.holds) {
			t.Errorf("after %s: holds %q, want %q", step.line, got, step.holds)
		}
	}
}
