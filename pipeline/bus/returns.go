package bus

import "sync"

// returns tells everybody who waits for it that the connection came back.
type returns struct {
	mu   sync.Mutex
	next chan struct{} // closed by the next return
}

// wait returns a channel that is closed when the connection comes back the
// next time.
func (r *returns) wait() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = make(chan struct{})
	}
	return r.next
}

func (r *returns) ring() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next != nil {
		close(r.next)
		r.next = nil
	}
}
