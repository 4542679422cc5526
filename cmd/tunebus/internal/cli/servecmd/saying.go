package servecmd

import (
	"sync/atomic"
	"time"
)

const (
	// mostUnsaid is how much may wait for whoever reads what the server says.
	mostUnsaid = 1024
	// lastWords is how long the end waits for that reader to read another line, and
	// farewell how long it waits at most.
	lastWords, farewell = time.Second, 15 * time.Second
)

// saying says one thing after the other, on a goroutine of its own: who stops reading
// stdout or stderr holds up neither requests nor the end of the server.
type saying struct {
	lost   func(n int64) // says how much had no room
	things chan func()
	unsaid atomic.Int64
	heard  atomic.Int64 // how much was said
	stop   chan struct{}
	done   chan struct{}
}

func newSaying(lost func(n int64)) *saying {
	s := &saying{lost: lost, things: make(chan func(), mostUnsaid), stop: make(chan struct{}), done: make(chan struct{})}
	go s.run()
	return s
}

// say has something said, or counted where too much waits already.
func (s *saying) say(thing func()) {
	select {
	case s.things <- thing:
	default:
		s.unsaid.Add(1)
	}
}

func (s *saying) run() {
	defer close(s.done)
	for {
		select {
		case thing := <-s.things:
			s.now(thing)
			continue
		default:
		}
		select {
		case thing := <-s.things:
			s.now(thing)
		case <-s.stop:
			return // nothing waits, and nothing comes any more
		}
	}
}

func (s *saying) now(thing func()) {
	thing()
	s.heard.Add(1)
	if n := s.unsaid.Swap(0); n > 0 {
		s.lost(n)
	}
}

// end waits until everything is said, as long as somebody reads: a write to a pipe that
// nobody reads has no end.
func (s *saying) end() {
	close(s.stop)
	for until := time.Now().Add(farewell); time.Now().Before(until); {
		before := s.heard.Load()
		select {
		case <-s.done:
			return
		case <-time.After(lastWords):
		}
		if s.heard.Load() == before {
			return
		}
	}
}
