package bus

import (
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
)

// hands are goroutines that handle one message after the other. Watermill
// starts a goroutine for each message, whose stack is doubled and copied again
// and again on the way down into a handler's JSON; theirs stay as large as
// they have become.
type hands struct {
	work  chan func()
	quit  chan struct{}
	ended chan struct{} // gets a value for each that has ended
	n     int
}

// newHands returns n hands; end has to be called.
func newHands(n int) *hands {
	h := &hands{work: make(chan func()), quit: make(chan struct{}), ended: make(chan struct{}, n), n: n}
	for range n {
		go h.handle()
	}
	return h
}

func (h *hands) handle() {
	for {
		select {
		case f := <-h.work:
			f()
		case <-h.quit:
			h.ended <- struct{}{}
			return
		}
	}
}

// lend lets a free hand handle a message. Where there is none, since messages
// whose grace is over are still being handled, it is handled all the same.
func (h *hands) lend(msg *message.Message, next message.HandlerFunc) (out []*message.Message, err error) {
	done := make(chan struct{})
	f := func() {
		defer close(done)
		out, err = next(msg)
	}
	select {
	case h.work <- f:
		<-done
	default:
		f()
	}
	return out, err
}

// end ends them. The router has waited for what they handled by then; what it
// gave up is not waited for here either.
func (h *hands) end() {
	close(h.quit)
	late := time.NewTimer(time.Second)
	defer late.Stop()
	for range h.n {
		select {
		case <-h.ended:
		case <-late.C:
			return
		}
	}
}
