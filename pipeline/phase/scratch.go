package phase

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// scratch is a temporary folder that is made when it is needed.
type scratch struct {
	parent, prefix string

	mu  sync.Mutex
	dir string
}

func (s *scratch) path(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		dir, err := os.MkdirTemp(s.parent, s.prefix)
		if err != nil {
			return "", fmt.Errorf("scratch folder: %w", err)
		}
		s.dir = dir
		failpoint.Here(failpoint.JobScratch)
	}
	return filepath.Join(s.dir, name), nil
}

// remove removes the folder, if it was ever made.
func (s *scratch) remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == "" {
		return nil
	}
	return os.RemoveAll(s.dir)
}
