// Package atomicfile replaces files atomically: a reader sees the old content
// or the whole new content, also after the writer was killed.
//
// [Write] writes a temporary file and renames it. A killed writer leaves its
// temporary file behind; [RemoveTemps] removes such files.
//
//	err := atomicfile.Write("reports/run.json", atomicfile.JSON(summary), atomicfile.Options{Sync: true})
//
// The package is ours because libraries such as google/renameio always sync,
// which costs too much for the many small files of an MLflow run and for a model
// that can be fetched again, and because it needs fail points before the rename.
package atomicfile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/filelock"
)

// TempPattern is the pattern of the names of temporary files and folders, as
// [os.CreateTemp] and [os.MkdirTemp] take it.
const TempPattern = ".tmp-*"

// Options change how a file is written. The zero value is usable.
type Options struct {
	// Perm are the permissions of the file. Default 0644.
	Perm fs.FileMode
	// TempPattern is the pattern of the temporary file's name, as
	// [os.CreateTemp] takes it. Default [TempPattern].
	TempPattern string
	// TempDir is the folder of the temporary file, on the file system of the
	// file. Default: the folder of the file.
	TempDir string
	// Sync writes the content through to the disk before the file gets its
	// name. Without it a power cut can leave an empty file.
	Sync bool
	// BeforeRename is the fail point between the writing and the renaming.
	// Default: none.
	BeforeRename failpoint.Name
}

// Write creates or replaces the file at path with the content that write
// writes. It makes the folder of the file. After an error the old file is still
// there, and no temporary file. The error names the file itself, never the temporary one,
// which nobody knows and which is another one at each try.
func Write(path string, write func(io.Writer) error, opt Options) (err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(cmp.Or(opt.TempDir, dir), cmp.Or(opt.TempPattern, TempPattern))
	if err != nil {
		return notCreated(path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(namedFor(path, tmp.Name(), err), os.Remove(tmp.Name()))
		}
	}()
	err = write(tmp)
	if err == nil {
		err = tmp.Chmod(cmp.Or(opt.Perm, 0o644))
	}
	if err == nil && opt.Sync {
		err = tmp.Sync()
	}
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	if opt.BeforeRename != "" {
		failpoint.Here(opt.BeforeRename)
	}
	return os.Rename(tmp.Name(), path)
}

// notCreated is the error of a temporary file or folder that could not be made, for path.
func notCreated(path string, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: "create", Path: path, Err: e.Err}
	}
	return err
}

// namedFor returns an error in which temporary may be named as one that names path.
func namedFor(path, temporary string, err error) error {
	if e, ok := errors.AsType[*os.LinkError](err); ok && e.Old == temporary && e.New == path {
		err = &fs.PathError{Op: "replace", Path: path, Err: e.Err}
	}
	if !strings.Contains(err.Error(), temporary) {
		return err
	}
	return &namedError{text: strings.ReplaceAll(err.Error(), temporary, path), err: err}
}

// namedError is an error with another text.
type namedError struct {
	text string
	err  error
}

func (e *namedError) Error() string { return e.text }

func (e *namedError) Unwrap() error { return e.err }

// RemoveTemps removes the temporary files and folders that killed writers left
// in a folder, which may be missing. Temporary files are not locked one by
// one, so the caller has to know that no other process writes into the folder,
// as under [filelock.LockDir].
func RemoveTemps(dir string) error {
	if _, err := filelock.RemoveUnlocked(dir, TempPattern); err != nil {
		return fmt.Errorf("remove temporary files in %s: %w", dir, err)
	}
	return nil
}

// JSON returns a function for [Write] that writes v as indented JSON. It
// leaves "<", ">" and "&" as they are, so that people can read the texts.
func JSON(v any) func(io.Writer) error {
	return func(w io.Writer) error {
		out := json.NewEncoder(w)
		out.SetEscapeHTML(false)
		out.SetIndent("", "  ")
		return out.Encode(v)
	}
}
