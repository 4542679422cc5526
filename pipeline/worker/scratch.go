package worker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/filelock"
)

// scratchName begins the names of the scratch folders of every phase.
const scratchName = "tunebus-scratch-"

// scratch is the temporary folder of an attempt. It is made when it is first
// needed. It is locked while it is used, so that a sweep can tell it from the
// folder of a killed process.
type scratch struct {
	parent string
	phase  events.Phase

	mu  sync.Mutex
	dir *os.File // open and locked; nil before the first use
}

// Path returns the path of a file or folder in the scratch folder.
func (s *scratch) Path(name string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == nil {
		dir, err := filelock.MkdirLocked(s.parent, scratchName+string(s.phase)+"-*")
		if err != nil {
			return "", fmt.Errorf("scratch folder: %w", err)
		}
		s.dir = dir
		failpoint.Here(failpoint.JobScratch)
	}
	return filepath.Join(s.dir.Name(), name), nil
}

// remove removes the folder, if it was ever made.
func (s *scratch) remove() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == nil {
		return nil
	}
	return errors.Join(os.RemoveAll(s.dir.Name()), s.dir.Close())
}

// sweeper returns a function that removes the scratch folders and half-written
// artifacts that killed processes left on this machine.
func sweeper(store interface{ Sweep() }, cfg Config) func() {
	return func() {
		store.Sweep()
		n, err := filelock.RemoveUnlocked(cfg.Scratch, scratchName+"*")
		if err != nil {
			cfg.Logger.Warn("scratch folders of killed processes not removed", "folder", cfg.Scratch, "error", err)
		}
		if n > 0 {
			cfg.Logger.Info("scratch folders of killed processes removed", "folder", cfg.Scratch, "folders", n)
		}
	}
}
