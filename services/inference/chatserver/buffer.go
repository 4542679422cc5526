package chatserver

import (
	"context"
	"sync"
	"time"
)

// buffer holds the tokens of an answer between whoever generates them and the client's
// own goroutine. It never holds up who generates. An answer has a largest number of
// tokens, which bounds it.
type buffer struct {
	mu     sync.Mutex
	tokens []Token
	ended  bool
	err    error

	some chan struct{} // has a value if there is something new
	end  chan struct{} // closed at the end
}

func newBuffer() *buffer { return &buffer{some: make(chan struct{}, 1), end: make(chan struct{})} }

// put adds a token.
func (b *buffer) put(t Token) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = append(b.tokens, t)
	select {
	case b.some <- struct{}{}:
	default:
	}
}

// finish says that no more tokens come, and why.
func (b *buffer) finish(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended, b.err = true, err
	close(b.end)
}

// take waits for tokens, but not before a time, unless the answer ends. more is false
// behind the last ones.
func (b *buffer) take(ctx context.Context, notBefore time.Time) (tokens []Token, more bool, err error) {
	if rest := time.Until(notBefore); rest > 0 {
		timer := time.NewTimer(rest)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-b.end:
		case <-ctx.Done():
		}
	}
	select {
	case <-b.some:
	case <-b.end:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	tokens, b.tokens = b.tokens, nil
	return tokens, !b.ended, b.err
}
