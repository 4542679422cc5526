package modelexport

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/tunebus/tunebus/events"
)

// scratchPrefix begins the name of the folder in which an export is written first.
const scratchPrefix = ".export-"

// target is the place of an export.
type target struct {
	dir string // absolute, as a person named it
	// there is the folder that is there already, without links on the way to it; empty: the
	// export makes one. It stays the folder that it is, with its mode and its owner.
	there string
	// scratch is a folder on the disk of the target.
	scratch string
}

// findTarget looks whether an export of a run may be written to a folder, also if that is a link.
func findTarget(dir string, run events.Run, o Options) (target, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return target{}, err
	}
	if err := checkPlace(dir, run, o.Inputs); err != nil {
		return target{}, err
	}
	there, err := folderAt(dir)
	if err != nil || there == "" {
		return target{dir: dir}, err
	}
	if there != dir {
		if err := checkPlace(there, run, o.Inputs); err != nil {
			return target{}, err
		}
	}
	return target{dir: dir, there: there}, checkEmpty(dir, o.Force)
}

// checkPlace refuses what belongs to runs.
func checkPlace(dir string, run events.Run, inputs []string) error {
	if err := checkData(dir); err != nil {
		return err
	}
	return checkInputs(dir, run, inputs)
}

// folderAt is the folder at a path, without links; empty if there is nothing.
func folderAt(dir string) (string, error) {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		to, notLink := os.Readlink(dir)
		if notLink != nil {
			return "", nil
		}
		return "", targetError(dir, fmt.Errorf("it is a link to %s, where nothing is", shown(to)))
	case err != nil:
		return "", targetError(dir, err)
	case !info.IsDir():
		return "", targetError(dir, errors.New("it is a file"))
	}
	there, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "", targetError(dir, err)
	}
	return there, nil
}

// NotEmptyError says that the folder to write to has files already.
type NotEmptyError struct{ Dir string }

func (e *NotEmptyError) Error() string {
	return fmt.Sprintf("folder %s is not empty; name a new one, or write over its files with --force", shown(e.Dir))
}

// checkEmpty refuses a folder in which there is something. What an export left there that was
// killed is nothing: the next one must not need --force for it.
func checkEmpty(dir string, force bool) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return targetError(dir, err)
	}
	for _, entry := range entries {
		if !force && !strings.HasPrefix(entry.Name(), scratchPrefix) {
			return &NotEmptyError{Dir: dir}
		}
	}
	return nil
}

// begin makes the folder in which the export is written first: in the folder that is there, which
// may be a disk of its own, else beside its place.
func (t *target) begin() (err error) {
	parent := t.there
	if parent == "" {
		parent = filepath.Dir(t.dir)
		if err := os.MkdirAll(parent, 0o755); err != nil {
			return targetError(t.dir, err)
		}
	}
	if t.scratch, err = os.MkdirTemp(parent, scratchPrefix+"*"); err != nil {
		return targetError(t.dir, err)
	}
	return nil
}

// end removes what is not a part of the export, and says an error as one of the target where it is
// one: nobody knows the files on the way.
func (t *target) end(err error) error {
	err = errors.Join(err, os.RemoveAll(t.scratch))
	if full, ok := errors.AsType[*fs.PathError](err); ok && isFull(full.Err) && isWithin(full.Path, t.scratch) {
		return &FullDiskError{t.dir, full.Err}
	}
	if full, ok := errors.AsType[*os.LinkError](err); ok && isFull(full.Err) && isWithin(full.New, t.scratch) {
		return &FullDiskError{t.dir, full.Err}
	}
	return err
}

// isWithin reports whether a path leads into a folder.
func isWithin(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

func isFull(err error) bool { return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) }

// FullDiskError says that an export had no space.
type FullDiskError struct {
	Dir string
	Err error
}

func (e *FullDiskError) Error() string {
	return fmt.Sprintf("the disk of the folder %s is full: %v; free space on it, or name a folder on another disk", shown(e.Dir), e.Err)
}

// Unwrap returns the cause.
func (e *FullDiskError) Unwrap() error { return e.Err }

// TargetError says that an export cannot be written where it should be.
type TargetError struct {
	Dir string
	Err error
}

func (e *TargetError) Error() string {
	return fmt.Sprintf("folder %s cannot be written: %v; name another one", shown(e.Dir), e.Err)
}

// Unwrap returns the cause.
func (e *TargetError) Unwrap() error { return e.Err }

// targetError is an error of the place where an export is written, without the paths on the way.
func targetError(dir string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		err = e.Err
	}
	if e, ok := errors.AsType[*os.LinkError](err); ok {
		err = e.Err
	}
	if isFull(err) {
		return &FullDiskError{dir, err}
	}
	return &TargetError{dir, err}
}

// shown is a name of a file or folder within a line: it must not begin one of its own.
func shown(name string) string { return strings.ReplaceAll(name, "\n", `\n`) }
