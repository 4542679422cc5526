package child

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/tunebus/tunebus/pipeline/redaction"
)

const (
	// maxConnections bounds the connections of a job.
	maxConnections = 1000
	// sendTime is how long a line may take to be taken by a trainer.
	sendTime = 10 * time.Second
	// lastAccept is how long a connection is waited for that a trainer made just before
	// its end, and lastRead bounds the reading of what it said.
	lastAccept = 50 * time.Millisecond
	lastRead   = 30 * time.Second
	// replaceTime is how long a new connection waits until the one before is read to its
	// end, before that is closed.
	replaceTime = 5 * time.Second
)

// peer is one connection.
type peer struct {
	net.Conn
	done chan struct{} // closed when it was read to its end
}

// link is the connection to a trainer, which may break and be taken up again. Its
// newest connection that has said hello counts.
type link struct {
	listener  *net.UnixListener
	helloTime time.Duration
	secrets   *redaction.Secrets // which no message has
	// arrived gets the messages. changed gets a value when a connection counts from now
	// on, or ends.
	arrived chan Message
	changed chan struct{}
	log     func(text string)
	// turn holds a value while a connection replaces another one.
	turn chan struct{}

	mu      sync.Mutex
	current *peer // nil while there is none
	open    map[*peer]bool
	stop    []byte // the order that is repeated on each connection
	closed  bool

	all    sync.WaitGroup
	closer chan struct{} // closed when nobody wants messages any more
}

// listen makes the socket.
func listen(path string, helloTime time.Duration, secrets *redaction.Secrets, log func(text string)) (*link, error) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("the socket of the trainer: %w", err)
	}
	k := &link{
		listener: l, helloTime: helloTime, secrets: secrets, log: log,
		arrived: make(chan Message), changed: make(chan struct{}, 1), turn: make(chan struct{}, 1),
		open: map[*peer]bool{}, closer: make(chan struct{}),
	}
	k.all.Go(k.accept)
	return k, nil
}

// accept takes connections until the listener is closed or its deadline has passed.
func (k *link) accept() {
	for n := 1; ; n++ {
		c, err := k.listener.Accept()
		if err != nil {
			return
		}
		if n > maxConnections {
			_ = c.Close() // nothing was said
			k.deliver(Fault{fmt.Errorf("the trainer connected more than %d times", maxConnections)})
			return
		}
		p := &peer{c, make(chan struct{})}
		k.mu.Lock()
		k.open[p] = true
		k.mu.Unlock()
		k.all.Go(func() { k.read(p) })
	}
}

// read reads the lines of a connection to its end, or until another one counts.
func (k *link) read(c *peer) {
	defer k.forget(c)
	in := bufio.NewReader(c)
	_ = c.SetReadDeadline(time.Now().Add(k.helloTime)) // it only fails on a closed connection, as reading does
	for number := 1; ; number++ {
		line, err := readLine(in)
		var m Message
		if err == nil {
			if m, err = decode(line, k.secrets); err != nil {
				err = fmt.Errorf("line %d of the trainer: %w", number, err)
			}
		}
		switch {
		case errors.Is(err, errTooLong):
			err = fmt.Errorf("line %d of the trainer is longer than %d bytes", number, maxLine)
		case errors.Is(err, io.EOF), errors.As(err, new(net.Error)):
			if number == 1 {
				k.log("a connection to the trainer's socket ended before it said hello")
			}
			return
		}
		hello, isHello := m.(Hello)
		switch {
		case err != nil:
			k.deliver(Fault{err})
			return
		case number == 1 && !isHello:
			k.deliver(Fault{fmt.Errorf("the first line of the trainer is no hello: %s", start([]byte(k.secrets.Hide(string(line)))))})
			return
		case number > 1 && isHello:
			k.deliver(Fault{fmt.Errorf("line %d of the trainer is another hello", number)})
			return
		case isHello:
			_ = c.SetReadDeadline(time.Time{}) // as above
			if !k.replace(c) {
				return
			}
			m = hello
		}
		if !k.isCurrent(c) || !k.deliver(m) {
			return
		}
	}
}

var errTooLong = errors.New("the line is too long")

// readLine reads a line. One that is too long is not kept.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(line)+len(part) > maxLine {
			return nil, errTooLong
		}
		line = append(line, part...)
		if err == nil {
			return line[:len(line)-1], nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err // what stands behind the last line was not sent whole
		}
	}
}

// replace makes a connection the one that counts, and repeats the order to stop. What
// the trainer said on the one before comes first.
func (k *link) replace(c *peer) bool {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-k.closer:
		return false
	}
	k.mu.Lock()
	before := k.current
	k.mu.Unlock()
	if before != nil {
		patience := time.NewTimer(replaceTime)
		defer patience.Stop()
		select {
		case <-before.done:
		case <-k.closer:
			return false
		case <-patience.C:
			k.log("the trainer connected again while its connection was open; the newer one counts")
			_ = before.Close() // its reader ends
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return false
	}
	k.current = c
	k.signal()
	if k.stop != nil {
		sendOn(c, k.stop)
	}
	return true
}

// signal says that something changed.
func (k *link) signal() {
	select {
	case k.changed <- struct{}{}:
	default: // the earlier signal was not received yet
	}
}

// connected reports whether there is a connection that counts.
func (k *link) connected() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current != nil
}

func (k *link) isCurrent(c *peer) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.current == c
}

// forget closes a connection.
func (k *link) forget(c *peer) {
	defer close(c.done)
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.open, c)
	_ = c.Close() // everything was read
	if k.current == c {
		k.current = nil
		k.signal()
	}
}

// deliver hands a message over. It is false if nobody wants it any more.
func (k *link) deliver(m Message) bool {
	select {
	case k.arrived <- m:
		return true
	case <-k.closer:
		return false
	}
}

// send sends an order, if there is a connection. One that does not take it is closed.
func (k *link) send(o Order) {
	k.mu.Lock()
	defer k.mu.Unlock()
	line := encode(o)
	if _, isStop := o.(Stop); isStop {
		k.stop = line
	}
	if k.current != nil {
		sendOn(k.current, line)
	}
}

// interrupt closes the connection, if there is one.
func (k *link) interrupt() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.current != nil {
		_ = k.current.Close() // its reader ends
	}
}

// sendOn sends a line. It is called with the lock, for a bounded time: a trainer that
// does not read costs no more than that.
func sendOn(c net.Conn, line []byte) {
	_ = c.SetWriteDeadline(time.Now().Add(sendTime)) // it only fails on a closed connection, as writing does
	if _, err := c.Write(line); err != nil {
		_ = c.Close() // its reader ends, and the trainer connects again
	}
}

// drain reads to their ends the connections of a trainer that has ended, and closes
// arrived.
func (k *link) drain() {
	_ = k.listener.SetDeadline(time.Now().Add(lastAccept)) // it only fails on a closed listener
	limit := time.AfterFunc(lastRead, k.close)             // somebody else may hold a connection open
	defer limit.Stop()
	k.all.Wait()
	_ = k.listener.Close() // no process is there to connect
	close(k.arrived)
}

// close drops the connections, and what was not read of them.
func (k *link) close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		return
	}
	k.closed = true
	close(k.closer)
	for c := range k.open {
		_ = c.Close() // nobody wants what it says
	}
}
