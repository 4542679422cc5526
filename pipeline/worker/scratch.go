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

// scratch is a temporary folder that is made when it is needed. It is held
// for as long as it is used, so that it can be told from one whose process
// was killed.
type scratch struct {
	parent string
	phase  events.Phase

	mu  sync.Mutex
	dir *os.File
}

func (s *scratch) path(name string) (string, error) {
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

// Sweep removes the scratch folders that killed processes left behind,
// whatever phase they worked on, and what they were storing. It is for the
// start of a process; a worker that takes a job over sweeps by itself.
func (w *Worker) Sweep() {
	w.store.Sweep()
	n, err := filelock.RemoveUnlocked(w.cfg.Scratch, scratchName+"*")
	if err != nil {
		w.cfg.Logger.Warn("scratch folders of killed processes not removed", "folder", w.cfg.Scratch, "error", err)
	}
	if n > 0 {
		w.cfg.Logger.Info("scratch folders of killed processes removed", "folder", w.cfg.Scratch, "folders", n)
	}
}
