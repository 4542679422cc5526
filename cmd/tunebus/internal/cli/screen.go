package cli

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
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

// over leads what is written through w until back is called.
func (s *screen) over(w io.Writer) (back func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.w
	s.w = w
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.w = before
	}
}

// terminal is w if it is one, else nil.
func terminal(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}
