package delivery

import (
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// handlerPool is a set of goroutines that handle one message after the other.
// Watermill starts a goroutine for each message, whose stack is doubled and
// copied again and again on the way down into a handler's JSON. The stacks of
// the pool keep their size.
type handlerPool struct {
	work    chan func()
	quit    chan struct{}
	ended   chan struct{} // gets a value for each goroutine that has ended
	workers int
}

// newHandlerPool starts a pool; stop has to be called.
func newHandlerPool(workers int) *handlerPool {
	p := &handlerPool{
		work:    make(chan func()),
		quit:    make(chan struct{}),
		ended:   make(chan struct{}, workers),
		workers: workers,
	}
	for range workers {
		go p.loop()
	}
	return p
}

func (p *handlerPool) loop() {
	for {
		select {
		case f := <-p.work:
			f()
		case <-p.quit:
			p.ended <- struct{}{}
			return
		}
	}
}

// run handles a message on a free goroutine of the pool. If none is free, since
// messages whose grace is over are still handled, it handles the message on the
// caller's.
func (p *handlerPool) run(msg *message.Message, next message.HandlerFunc) (out []*message.Message, err error) {
	done := make(chan struct{})
	f := func() {
		defer close(done)
		out, err = next(msg)
	}
	select {
	case p.work <- f:
		<-done
	default:
		f()
	}
	return out, err
}

// stop ends the goroutines. The router has waited for the handlers before; a
// handler that it gave up is not waited for here either.
func (p *handlerPool) stop() {
	close(p.quit)
	deadline := time.NewTimer(time.Second)
	defer deadline.Stop()
	for range p.workers {
		select {
		case <-p.ended:
		case <-deadline.C:
			return
		}
	}
}
