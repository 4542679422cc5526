package conn

import "sync"

// reconnectSignal wakes everything that waits for the next reconnect.
type reconnectSignal struct {
	mu sync.Mutex
	ch chan struct{} // closed by the next reconnect; nil while nothing waits
}

// next returns a channel that is closed by the next reconnect.
func (r *reconnectSignal) next() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ch == nil {
		r.ch = make(chan struct{})
	}
	return r.ch
}

func (r *reconnectSignal) notify() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ch != nil {
		close(r.ch)
		r.ch = nil
	}
}
