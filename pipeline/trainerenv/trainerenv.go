// Package trainerenv finds the Python environments of the engines that tunebus brings
// along, such as trl. "tunebus engine install" makes them.
//
//	env, err := trainerenv.Find("tunebus-data", "trl")
//	if err != nil {
//		return err // a sentence with what to do
//	}
//	command := env.Command()
//
// An environment is a folder with a file engine.json, which is written last: a folder
// without it is none, whatever is in it. Its worker needs nothing else to know.
package trainerenv

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tunebus/tunebus/pipeline/atomicfile"
	"github.com/tunebus/tunebus/pipeline/fileglob"
	"github.com/tunebus/tunebus/pipeline/userfolder"
)

// FileName is the name of the file that makes a folder an environment.
const FileName = "engine.json"

// module is the Python module that trains.
const module = "tunebus_trainer"

// maxFile bounds the file.
const maxFile = 1 << 20

// Environment is a Python environment in which an engine works.
type Environment struct {
	// Folder is where it is.
	Folder string `json:"-"`
	// Engine is the name of the engine.
	Engine string `json:"engine"`
	// Lock is the digest of the list of packages that it was made from; empty: the
	// newest versions.
	Lock string `json:"lock,omitempty"`
	// Sources is the digest of the trainer in it.
	Sources string `json:"sources"`
	// Python is the version of Python.
	Python string `json:"python"`
	// Versions are those of its packages.
	Versions map[string]string `json:"versions"`
	// Program is the version of tunebus that made it, and Made the time.
	Program string    `json:"program"`
	Made    time.Time `json:"made"`
}

// Interpreter is the Python of an environment's folder.
func Interpreter(folder string) string { return filepath.Join(folder, "bin", "python") }

// Command is the command that trains.
func (e Environment) Command() []string {
	return []string{Interpreter(e.Folder), "-m", module, "--engine", e.Engine}
}

// MissingError means that an engine has no environment here.
type MissingError struct {
	Engine string
	// Folders are where it could be.
	Folders []string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("the engine %s works in a Python environment, and there is none in %s or %s; \"tunebus engine install %s\" makes it",
		e.Engine, e.Folders[0], e.Folders[1], e.Engine)
}

// BrokenError means that a folder is no environment any more.
type BrokenError struct {
	Engine, Folder, Why string
}

func (e *BrokenError) Error() string {
	return fmt.Sprintf("the environment of the engine %s in %s cannot be used: %s; \"tunebus engine install %s\" makes it anew", e.Engine, e.Folder, e.Why, e.Engine)
}

// Folders are where the environment of an engine may be, in the order in which they
// are looked at: in the data folder, and in the user's folder of programs' data, which
// all data folders share.
func Folders(data, engine string) ([]string, error) {
	local, err := filepath.Abs(filepath.Join(data, "engines", engine))
	if err != nil {
		return nil, err
	}
	shared, err := Shared(engine)
	return []string{local, shared}, err
}

// Shared is the folder of an engine's environment that all data folders of the user share.
func Shared(engine string) (string, error) {
	base, err := userfolder.Data()
	if err != nil {
		return filepath.Join(string(filepath.Separator), "var", "lib", "tunebus", "engines", engine), nil // a service without a home
	}
	return filepath.Join(base, "tunebus", "engines", engine), nil
}

// Find returns the environment of an engine for a data folder. Its errors are a
// [*MissingError], and a [*BrokenError] where there is one that cannot be used.
func Find(data, engine string) (Environment, error) {
	folders, err := Folders(data, engine)
	if err != nil {
		return Environment{}, err
	}
	var broken error
	for _, folder := range folders {
		e, err := Open(folder, engine)
		switch {
		case err == nil:
			return e, nil
		case !errors.Is(err, fs.ErrNotExist):
			broken = cmp.Or(broken, err)
		}
	}
	if broken != nil {
		return Environment{}, broken
	}
	return Environment{}, &MissingError{Engine: engine, Folders: folders}
}

// Open returns the environment of an engine in a folder. The error is
// [fs.ErrNotExist] if there is none, and a [*BrokenError] if it cannot be used.
func Open(folder, engine string) (Environment, error) {
	f, err := os.Open(filepath.Join(folder, FileName))
	if errors.Is(err, fs.ErrNotExist) {
		return Environment{}, err
	}
	broken := func(format string, args ...any) (Environment, error) {
		return Environment{}, &BrokenError{Engine: engine, Folder: folder, Why: fmt.Sprintf(format, args...)}
	}
	if err != nil {
		return broken("%v", err)
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxFile))
	if err != nil {
		return broken("%v", err)
	}
	e := Environment{Folder: folder}
	if err := json.Unmarshal(body, &e); err != nil {
		return broken("its file %s is damaged: %v", FileName, err)
	}
	if e.Engine != engine {
		return broken("it is one of the engine %q", e.Engine)
	}
	if info, err := os.Stat(Interpreter(folder)); err != nil || info.IsDir() {
		return broken("its Python %s, version %s, is gone; it was removed or updated", Interpreter(folder), e.Python)
	}
	if found, err := fileglob.In(folder, "lib/python*/site-packages/"+module+"/__main__.py"); err != nil || len(found) == 0 {
		return broken("its trainer is gone")
	}
	return e, nil
}

// Finish makes a folder an environment, from which on it is found.
func Finish(e Environment) error {
	return atomicfile.Write(filepath.Join(e.Folder, FileName), atomicfile.JSON(e), atomicfile.Options{Sync: true})
}
