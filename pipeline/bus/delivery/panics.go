package delivery

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
)

// maxPanics is how often a handler may panic on one message before this process
// makes it a dead letter.
const maxPanics = 5

// panicCounter counts the panics of messages that are still delivered.
type panicCounter struct {
	log *slog.Logger

	mu     sync.Mutex
	counts map[string]int
}

// middleware turns the fifth panic on a message into a [*DeadLetterError]. It
// belongs right around Watermill's Recoverer.
func (p *panicCounter) middleware(h message.HandlerFunc) message.HandlerFunc {
	return func(msg *message.Message) ([]*message.Message, error) {
		out, err := h(msg)
		meta := metaFrom(msg.Context())
		key := message.HandlerNameFromCtx(msg.Context()) + "/" + strconv.FormatUint(meta.sequence, 10)
		recovered, ok := errors.AsType[middleware.RecoveredPanicError](err)
		if !ok {
			p.reset(key)
			return out, err
		}
		n := p.add(key)
		p.log.Error("handler panicked", "subject", meta.subject, "times", n, "panic", fmt.Sprint(recovered.V), "stack", recovered.Stacktrace)
		if n < maxPanics {
			return out, fmt.Errorf("the handler panicked: %v", recovered.V)
		}
		p.reset(key)
		return out, &DeadLetterError{Err: fmt.Errorf("the handler panicked %d times: %v", n, recovered.V)}
	}
}

func (p *panicCounter) add(key string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	const limit = 1024 // messages that went on to another process stay in the map
	if p.counts == nil || len(p.counts) >= limit {
		p.counts = map[string]int{}
	}
	p.counts[key]++
	return p.counts[key]
}

func (p *panicCounter) reset(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.counts, key)
}
