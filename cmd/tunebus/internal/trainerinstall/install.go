package trainerinstall

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/filelock"
	"github.com/tunebus/tunebus/pipeline/trainerenv"
	"github.com/tunebus/tunebus/trainers"
)

// Options say what is made.
type Options struct {
	Engine trainers.Engine
	// Folder is the absolute path of the environment.
	Folder string
	// Unlocked takes the newest versions instead of those of the lock.
	Unlocked bool
	// Python is the interpreter; empty: one of the path.
	Python string
	// Program is the version of this program.
	Program string
	// Environ is the environment of uv and pip, which have settings of their own in it.
	Environ []string
	// Say tells a person how far it is.
	Say func(format string, args ...any)

	// requirements and check replace those of the engine in tests.
	requirements string
	check        func(ctx context.Context, folder string) (map[string]string, error)
}

// ErrBusy means that another process makes the environment.
var ErrBusy = errors.New("another process makes this environment; wait for its end, and call this again")

// Install makes an environment, unless it is there already: then made is false. What it
// made before its end is removed if it fails.
func Install(ctx context.Context, o Options) (env trainerenv.Environment, made bool, err error) {
	if state := Look(o.Folder, o.Engine); state.IsCurrent() && !o.Unlocked {
		return state.Environment, false, nil
	}
	if err := o.checkFolder(); err != nil {
		return env, false, err
	}
	if !o.Unlocked && !isLocked(runtime.GOOS, runtime.GOARCH) {
		return env, false, fmt.Errorf("the versions of %s are fixed for Linux on x86-64 and arm64, and this is %s on %s; --unlocked installs the newest ones",
			o.Engine.Name, runtime.GOOS, runtime.GOARCH)
	}
	if err := os.MkdirAll(filepath.Dir(o.Folder), 0o755); err != nil {
		return env, false, err
	}
	unlock, err := lock(o.Folder + ".lock")
	if err != nil {
		return env, false, err
	}
	defer unlock()
	if state := Look(o.Folder, o.Engine); state.IsCurrent() && !o.Unlocked { // meanwhile
		return state.Environment, false, nil
	}
	partial := o.Folder + ".partial"
	if err := os.RemoveAll(partial); err != nil { // of a process that was killed
		return env, false, err
	}
	if err := o.checkSpace(); err != nil {
		return env, false, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	env, err = o.makeIn(ctx, partial)
	if err == nil {
		err = o.moveIn(partial, &env)
	}
	if ctx.Err() != nil {
		return env, false, errors.Join(context.Cause(ctx), os.RemoveAll(partial))
	}
	return env, err == nil, err
}

// isLocked reports whether the lock holds for a machine.
func isLocked(system, processor string) bool {
	return system == "linux" && (processor == "amd64" || processor == "arm64")
}

// checkFolder refuses a folder that has something else in it.
func (o Options) checkFolder() error {
	entries, err := os.ReadDir(o.Folder)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w; name another folder", err)
	}
	if _, err := os.Stat(filepath.Join(o.Folder, trainerenv.FileName)); err != nil {
		return fmt.Errorf("the folder %s holds something that is no environment of tunebus; name another one, or an empty one", o.Folder)
	}
	return nil
}

// checkSpace refuses a disk that has too little room.
func (o Options) checkSpace() error {
	free, ok := freeBytes(filepath.Dir(o.Folder))
	if !ok || free >= o.Engine.Bytes {
		return nil
	}
	return fmt.Errorf("the environment of %s takes up to %.0f GB while it is made, and the disk of %s has %.1f GB free; make room, or name another place with --into",
		o.Engine.Name, float64(o.Engine.Bytes)/1e9, filepath.Dir(o.Folder), float64(free)/1e9)
}

// lock lets one process at a time make an environment. Where files cannot be locked
// there is no lock.
func lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := filelock.TryLock(f); errors.Is(err, filelock.ErrLocked) {
		_ = f.Close() // nothing was written
		return nil, ErrBusy
	}
	// The file stays: whoever removed it would take it from a process that waits for it.
	return func() { _ = f.Close() }, nil
}

// makeIn makes the environment in a folder.
func (o Options) makeIn(ctx context.Context, folder string) (env trainerenv.Environment, err error) {
	uv, err := exec.LookPath("uv")
	if err != nil {
		uv = ""
	}
	python, err := o.findPython(ctx, uv != "")
	if err != nil {
		return env, err
	}
	t := tools{options: o, uv: uv, folder: folder}
	if err := t.makeEnvironment(ctx, python); err != nil {
		return env, err
	}
	version, err := probe(ctx, trainerenv.Interpreter(folder), o.Environ)
	if err != nil {
		return env, err
	}
	if err := t.installPackages(ctx); err != nil {
		return env, err
	}
	if err := addModule(folder, o.Program); err != nil {
		return env, err
	}
	o.Say("the trainer answers for the first time, which takes a while")
	versions, err := t.checkTrainer(ctx)
	if err != nil {
		return env, fmt.Errorf("the trainer does not work in the new environment, which was removed: %w", err)
	}
	env = trainerenv.Environment{
		Folder: folder, Engine: o.Engine.Name, Sources: trainers.SourcesDigest(), Python: version.String(),
		Versions: versions, Program: o.Program, Made: time.Now().UTC().Truncate(time.Second),
	}
	if !o.Unlocked {
		env.Lock = o.Engine.Lock()
	}
	return env, nil
}

// checkTrainer has the trainer say what it is, and returns the versions of its packages.
// Python compiles all that it loads for the first time, so there is no limit.
func (t tools) checkTrainer(ctx context.Context) (map[string]string, error) {
	if t.options.check != nil {
		return t.options.check(ctx, t.folder)
	}
	last := ""
	env := trainerenv.Environment{Folder: t.folder, Engine: t.options.Engine.Name}
	t.options.Environ = child.Environment(t.options.Environ, nil, nil)
	err := t.run(ctx, append(env.Command(), "--describe"), func(line string) {
		if strings.HasPrefix(line, "{") {
			last = line
		}
	})
	if err != nil {
		return nil, err
	}
	var d child.Description
	if err := json.Unmarshal([]byte(last), &d); err != nil {
		return nil, fmt.Errorf("its description is no JSON: %w", err)
	}
	return d.Versions, nil
}
