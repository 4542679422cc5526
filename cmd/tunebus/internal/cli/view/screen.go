package view

import (
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// screen is written by the command, its progress bars and the services' log at
// the same time. Each write is a whole line.
type screen struct {
	mu sync.Mutex
	w  io.Writer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}

// redirect sends everything through w until restore is called.
func (s *screen) redirect(w io.Writer) (restore func()) {
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

// terminal returns w if it is a terminal, else nil.
func terminal(w io.Writer) io.Writer {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}

// Colours reports whether text for w may have colours: w is a terminal, and the
// variable NO_COLOR is not set (https://no-color.org).
func Colours(w io.Writer) bool { return terminal(w) != nil && os.Getenv("NO_COLOR") == "" }
