package bustest

import (
	"context"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
)

// Proxy forwards the connections of a client to a server, and breaks them when
// a test asks for it.
type Proxy struct {
	// URL is the address that the client connects to.
	URL string

	target   string
	listener net.Listener
	refuse   atomic.Bool // new connections are closed at once
	drop     atomic.Bool // bytes from the server are not forwarded
	work     sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// NewProxy starts a proxy for the server at a nats:// address. The proxy stops
// when the test ends.
func NewProxy(t testing.TB, address string) *Proxy {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{URL: "nats://" + l.Addr().String(), target: u.Host, listener: l, conns: map[net.Conn]bool{}}
	p.work.Go(p.accept)
	t.Cleanup(func() {
		_ = l.Close()
		p.Cut()
		p.work.Wait()
	})
	return p
}

// Cut closes every connection and refuses new ones until [Proxy.Restore].
func (p *Proxy) Cut() {
	p.refuse.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

// AcceptAgain lets new connections through, and nothing else.
func (p *Proxy) AcceptAgain() { p.refuse.Store(false) }

// Restore lets connections and replies through again.
func (p *Proxy) Restore() {
	p.drop.Store(false)
	p.refuse.Store(false)
}

// DropReplies drops all bytes from the server. The server still stores what the
// client publishes, but the client gets no acknowledgement.
func (p *Proxy) DropReplies() { p.drop.Store(true) }

func (p *Proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		if p.refuse.Load() {
			_ = client.Close()
			continue
		}
		server, err := new(net.Dialer).DialContext(context.Background(), "tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		p.mu.Lock()
		p.conns[client], p.conns[server] = true, true
		p.mu.Unlock()
		if p.refuse.Load() { // Cut was called meanwhile
			p.Cut()
		}
		p.work.Go(func() { p.forward(server, client, nil) })
		p.work.Go(func() { p.forward(client, server, &p.drop) })
	}
}

// forward copies bytes until one side closes, then closes both.
func (p *Proxy) forward(to, from net.Conn, drop *atomic.Bool) {
	defer func() {
		_ = to.Close()
		_ = from.Close()
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.conns, to)
		delete(p.conns, from)
	}()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 && (drop == nil || !drop.Load()) {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
