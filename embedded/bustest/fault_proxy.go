package bustest

import (
	"bufio"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// Fault is one broken exchange between a client and the server: the connection
// breaks at a message of the client.
type Fault struct {
	// Op is the kind of the message, Occurrence counts those of the kind from 1.
	Op         conn.Op
	Occurrence int
	// Stored lets the message through and drops its answer: the server has done
	// what was asked. Otherwise the message itself is dropped.
	Stored bool
}

// FaultProxy forwards the connections of a client to a server. It understands
// the protocol, counts the messages of the client by their kind, and breaks the
// connection once where a [Fault] says. The client may connect again.
type FaultProxy struct {
	// URL is the address that the client connects to.
	URL string

	listener net.Listener
	target   string
	fault    Fault
	work     sync.WaitGroup

	mu      sync.Mutex
	struck  bool
	refuse  bool // new connections are closed at once
	counts  map[conn.Op]int
	unknown map[string]bool // subjects of no kind
	links   map[*link]bool
}

// NewFaultProxy starts a proxy for the server at a nats:// address. The zero
// fault breaks nothing. The proxy stops when the test ends.
func NewFaultProxy(t testing.TB, address string, fault Fault) *FaultProxy {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &FaultProxy{
		URL:      "nats://" + l.Addr().String(),
		listener: l,
		target:   strings.TrimPrefix(address, "nats://"),
		fault:    fault,
		counts:   map[conn.Op]int{},
		unknown:  map[string]bool{},
		links:    map[*link]bool{},
	}
	p.work.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.Cut()
		p.work.Wait()
	})
	return p
}

// Struck reports whether the fault has happened.
func (p *FaultProxy) Struck() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.struck
}

// Counts returns how many messages of each kind the client has sent.
func (p *FaultProxy) Counts() map[conn.Op]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.counts)
}

// Unknown returns the subjects of the messages that are of no kind.
func (p *FaultProxy) Unknown() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.unknown))
}

// count counts a message and reports whether the fault is to happen at it.
func (p *FaultProxy) count(m *nats.Msg) bool {
	op, ok := opOf(m)
	p.mu.Lock()
	defer p.mu.Unlock()
	if !ok {
		p.unknown[m.Subject] = true
		return false
	}
	p.counts[op]++
	if p.struck || op != p.fault.Op || p.counts[op] != p.fault.Occurrence {
		return false
	}
	p.struck = true
	return true
}

func (p *FaultProxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := new(net.Dialer).Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		l := &link{proxy: p, client: client, server: server, subscriptions: map[string]string{}}
		p.mu.Lock()
		p.links[l] = true
		if p.refuse {
			l.close()
		}
		p.mu.Unlock()
		p.work.Go(l.fromServer)
		p.work.Go(l.fromClient)
	}
}

// Cut closes every connection and refuses new ones.
func (p *FaultProxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refuse = true
	for l := range p.links {
		l.close()
	}
}

// link is one connection of the client, and the one to the server behind it.
type link struct {
	proxy          *FaultProxy
	client, server net.Conn

	mu sync.Mutex
	// subscriptions are the subjects of the client's subscriptions by their id.
	subscriptions map[string]string
	// pings counts those that the server has not answered yet.
	pings, pongs int
	// lost recognizes the answer that is to be lost; nil while none is.
	lost func(f frame) bool
}

// close breaks the link.
func (l *link) close() {
	_ = l.client.Close()
	_ = l.server.Close()
}

func (l *link) end() {
	l.close()
	l.proxy.mu.Lock()
	defer l.proxy.mu.Unlock()
	delete(l.proxy.links, l)
}

// fromClient forwards what the client sends.
func (l *link) fromClient() {
	defer l.end()
	r := bufio.NewReader(l.client)
	for {
		f, err := readFrame(r)
		if err != nil {
			return
		}
		if m := l.message(f); m != nil && l.proxy.count(m) {
			if !l.proxy.fault.Stored {
				return
			}
			f = l.awaitAnswer(f, m)
		}
		if _, err := l.server.Write(f.raw); err != nil {
			return
		}
	}
}

// message is the message of an operation of the client; nil if it is none. The
// first PING of a connection belongs to its beginning.
func (l *link) message(f frame) *nats.Msg {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch f.name {
	case "SUB":
		l.subscriptions[f.args[len(f.args)-1]] = f.args[0]
	case "UNSUB":
		if len(f.args) == 1 {
			delete(l.subscriptions, f.args[0])
		}
	case "PING":
		if l.pings++; l.pings > 1 {
			return &nats.Msg{Subject: flushLine}
		}
	case "PUB", "HPUB":
		return f.published()
	}
	return nil
}

// awaitAnswer has the answer to a message dropped, and returns what to send. A
// message without an answer is followed by a PING, whose answer shows that the
// server has the message.
func (l *link) awaitAnswer(f frame, m *nats.Msg) frame {
	l.mu.Lock()
	defer l.mu.Unlock()
	op, _ := opOf(m)
	switch {
	case m.Subject == flushLine:
		l.lost = l.pong()
	case op == conn.Pull:
		// The message that the server delivers, not its report that there is
		// none.
		l.lost = func(f frame) bool {
			if f.name != "MSG" && f.name != "HMSG" {
				return false
			}
			d, subscription := f.delivered()
			return l.subscriptions[subscription] == m.Reply && strings.HasPrefix(d.Reply, "$JS.ACK.")
		}
	case m.Reply != "":
		l.lost = func(f frame) bool {
			return (f.name == "MSG" || f.name == "HMSG") && f.args[0] == m.Reply
		}
	default:
		l.pings++
		l.lost = l.pong()
		f.raw = append(f.raw, flushLine+"\r\n"...)
	}
	return f
}

// pong recognizes the answer to the newest PING.
func (l *link) pong() func(frame) bool {
	last := l.pings
	return func(f frame) bool { return f.name == "PONG" && l.pongs == last }
}

// fromServer forwards what the server sends, until the answer that is lost.
func (l *link) fromServer() {
	defer l.end()
	r := bufio.NewReader(l.server)
	for {
		f, err := readFrame(r)
		if err != nil || l.answers(f) {
			return
		}
		if _, err := l.client.Write(f.raw); err != nil {
			return
		}
	}
}

// answers reports whether an operation is the answer that is to be lost.
func (l *link) answers(f frame) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f.name == "PONG" {
		l.pongs++
	}
	return l.lost != nil && l.lost(f)
}
