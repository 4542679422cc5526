package cli

import (
	"io"
	"sync"
)

// screen is written by the command, its progress and the services' log side
// by side; each write is a whole line.
type screen struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
