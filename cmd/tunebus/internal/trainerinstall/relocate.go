package trainerinstall

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/pipeline/fileglob"
	"github.com/tunebus/tunebus/pipeline/trainerenv"
)

// maxScript bounds the files of an environment in which its own path is replaced.
const maxScript = 1 << 20

// moveIn gives an environment its place. What was there is removed once the new one has it.
func (o Options) moveIn(partial string, env *trainerenv.Environment) error {
	if err := relocate(partial, o.Folder); err != nil {
		return err
	}
	if err := trainerenv.Finish(*env); err != nil {
		return err
	}
	old := o.Folder + ".old"
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(o.Folder, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(partial, o.Folder); err != nil {
		return errors.Join(err, os.Rename(old, o.Folder))
	}
	env.Folder = o.Folder
	return os.RemoveAll(old)
}

// relocate replaces the path of an environment in its scripts by the one that it will
// have.
func relocate(from, to string) error {
	scripts, err := fileglob.In(from, "bin/*")
	if err != nil {
		return err
	}
	for _, path := range append(scripts, filepath.Join(from, "pyvenv.cfg")) {
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxScript {
			continue // a link to Python, or a program
		}
		body, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if moved := bytes.ReplaceAll(body, []byte(from), []byte(to)); !bytes.Equal(moved, body) {
			if err := os.WriteFile(path, moved, info.Mode().Perm()); err != nil {
				return err
			}
		}
	}
	return nil
}
