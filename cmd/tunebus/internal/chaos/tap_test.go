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
// so knows which messages the process has received and not settled. It can lose
// what the nodes send.
type tap struct {
	url       string // addresses of the listeners, one for each node
	listeners []net.Listener
	lossy     atomic.Bool // what the nodes send is lost
	stopped   atomic.Bool // new connections are closed at once
	work      sync.WaitGroup

	mu    sync.Mutex
	links map[*link]bool
	// held are the messages that the process has received and not settled, with
	// the time of its last sign of life, by their ack subjects.
	held map[string]time.Time
}

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
	p := &tap{links: map[*link]bool{}, held: map[string]time.Time{}}
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
}

// holds returns the messages that the process works on, in a readable form. A
// message without a sign of life within the ack wait is not its own any more.
func (p *tap) holds() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []string
	for subject, seen := range p.held {
		if time.Since(seen) < ackWait {
			d, _ := parseDelivery(subject)
			out = append(out, d.String())
		}
	}
	slices.Sort(out)
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

// readServerFrame notes a delivery.
func (p *tap) readServerFrame(l *link, line, _ []byte) {
	fields := strings.Fields(string(line))
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case len(fields) == 0:
	case fields[0] == "PONG":
		l.established = true
	case fields[0] == "MSG" && len(fields) == 5 || fields[0] == "HMSG" && len(fields) == 6:
		if _, ok := parseDelivery(fields[3]); ok {
			p.held[fields[3]] = time.Now()
		}
	}
}

// readClientFrame notes the answer to a delivery.
func (p *tap) readClientFrame(line, payload []byte) {
	fields := strings.Fields(string(line))
	if len(fields) < 3 || fields[0] != "PUB" && fields[0] != "HPUB" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, held := p.held[fields[1]]; !held {
		return
	}
	if bytes.Contains(payload, []byte("+WPI")) {
		p.held[fields[1]] = time.Now()
		return
	}
	delete(p.held, fields[1])
}

// delivery is a message that a durable consumer delivered.
type delivery struct {
	stream, consumer string
	sequence         string
}

func (d delivery) String() string { return d.consumer + " #" + d.sequence }

// parseDelivery reads an ack subject, which has a domain and an account in its
// newer form. ok is false for other subjects and for consumers that are not of
// the topology.
func parseDelivery(subject string) (d delivery, ok bool) {
	tokens := strings.Split(subject, ".")
	if len(tokens) < 9 || tokens[0] != "$JS" || tokens[1] != "ACK" {
		return delivery{}, false
	}
	rest := tokens[2:]
	if len(tokens) > 9 {
		rest = tokens[4:]
	}
	d = delivery{stream: rest[0], consumer: rest[1], sequence: rest[3]}
	phase, _, isQueue := strings.Cut(d.consumer, "_")
	named := []string{
		topology.ConsumerIntake, topology.ConsumerCancel, topology.ConsumerDeadline, topology.ConsumerTracker, topology.ConsumerMetrics,
		topology.ConsumerDeadLetters, topology.ConsumerGivenUp,
	}
	return d, slices.Contains(named, d.consumer) || isQueue && events.Phase(phase).Valid()
}
