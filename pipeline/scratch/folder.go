// Package scratch makes the temporary folders of jobs, and removes those that
// killed processes left behind.
//
//	f := scratch.Folder{Parent: os.TempDir(), Phase: events.Finetune}
//	path, err := f.Path("model") // makes the folder
//	err = f.Remove()
//
// A folder is locked while it is used. A sweep can thereby tell it from the
// folder of a process that was killed, on any system that has file locks.
package scratch

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/filelock"
)

// namePrefix begins the names of the folders of every phase.
const namePrefix = "tunebus-scratch-"

// Paths is what users need of a [Folder]. Their tests have one that is simpler.
type Paths interface {
	// Path makes the folder if it is missing.
	Path(name string) (string, error)
}

// Folder is a temporary folder that is made when it is first needed. It is safe
// for concurrent use.
type Folder struct {
	// Parent is the folder that it is made in.
	Parent string
	// Phase is part of its name.
	Phase events.Phase

	mu  sync.Mutex
	dir *os.File // open and locked; nil before the first use
}

// Path returns the path of a file or folder called name in the folder.
func (f *Folder) Path(name string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dir == nil {
		dir, err := filelock.MkdirLocked(f.Parent, namePrefix+string(f.Phase)+"-*")
		if err != nil {
			return "", fmt.Errorf("scratch folder: %w", err)
		}
		f.dir = dir
		failpoint.Here(failpoint.JobScratch)
	}
	return filepath.Join(f.dir.Name(), name), nil
}

// Remove removes the folder with its content, if it is there.
func (f *Folder) Remove() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.dir == nil {
		return nil
	}
	dir := f.dir
	f.dir = nil
	return errors.Join(os.RemoveAll(dir.Name()), dir.Close())
}

// IsWithin reports whether a path is a scratch folder, or lies in one.
func IsWithin(path string) bool { return strings.Contains(filepath.ToSlash(path), "/"+namePrefix) }

// Prepare makes a parent that is missing, and checks that jobs can have their folders in it.
func Prepare(parent string) error {
	err := os.MkdirAll(parent, 0o750)
	if err == nil {
		err = tryOut(parent)
	}
	if err != nil {
		return fmt.Errorf("the scratch folder %s cannot be used: %w; let the worker write there, or name another folder by data.scratch of its settings (TUNEBUS_DATA_SCRATCH)", parent, err)
	}
	return nil
}

// tryOut makes a folder and removes it. It is named and locked as those of jobs, so that a
// sweep removes what a killed process left of it, and nothing else.
func tryOut(parent string) error {
	dir, err := filelock.MkdirLocked(parent, namePrefix+"check-*")
	if err != nil {
		return err
	}
	return errors.Join(os.Remove(dir.Name()), dir.Close())
}

// Sweep removes the folders of killed processes in parent, of every phase.
func Sweep(parent string, log *slog.Logger) {
	n, err := filelock.RemoveUnlocked(parent, namePrefix+"*")
	if err != nil {
		log.Warn("scratch folders of killed processes not removed", "folder", parent, "error", err)
	}
	if n > 0 {
		log.Info("scratch folders of killed processes removed", "folder", parent, "folders", n)
	}
}
