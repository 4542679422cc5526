package bus

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
)

// maxPanics is how often a handler may panic on one message before this
// process gives the message up. Delivering it for ever would help nobody.
const maxPanics = 5

// panics counts the panics of messages that are still delivered.
type panics struct {
	log *slog.Logger

	mu     sync.Mutex
	counts map[string]int
}

// count is the middleware that turns a panic too many into a dead letter. It
// belongs right around Watermill's Recoverer.
func (p *panics) count(h message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		out, err := h(msg)
		at := arrived(msg.Context())
		key := message.HandlerNameFromCtx(msg.Context()) + "/" + strconv.FormatUint(at.sequence, 10)
		var slip middleware.RecoveredPanicError
		if !errors.As(err, &slip) {
			p.forget(key)
			return out, err
		}
		n := p.add(key)
		p.log.Error("handler panicked", "subject", at.subject, "times", n, "panic", fmt.Sprint(slip.V), "stack", slip.Stacktrace)
		if n < maxPanics {
			return out, fmt.Errorf("the handler panicked: %v", slip.V)
		}
		p.forget(key)
		return out, &Dead{Err: fmt.Errorf("the handler panicked %d times: %v", n, slip.V)}
	}
}

func (p *panics) add(key string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	const most = 1024 // messages that went on to another process stay here
	if p.counts == nil || len(p.counts) >= most {
		p.counts = map[string]int{}
	}
	p.counts[key]++
	return p.counts[key]
}

func (p *panics) forget(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.counts, key)
}
