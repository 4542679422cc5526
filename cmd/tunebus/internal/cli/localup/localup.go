// Package localup says which processes work on data folders of this machine, and how
// other commands reach them. The services of such a process can read files of this
// machine where they lie.
//
// Each process keeps a file in the user's cache folder, named by its address, and
// holds a lock on it. So a file without a lock is that of a process that has ended,
// however it ended, and is removed. Other users do not find it, and intake checks by the id of
// the data folder whether a reference is one of its own.
package localup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/fileglob"
	"github.com/tunebus/tunebus/pipeline/filelock"
	"github.com/tunebus/tunebus/pipeline/userfolder"
)

// Up is a process that works on a data folder, such as "tunebus up".
type Up struct {
	// URL is the address of its NATS server, and Token what the server wants of a
	// client; empty: nothing.
	URL   string `json:"url,omitempty"`
	Token string `json:"token,omitempty"`
	// Command is the verb that the process runs, such as "run"; empty for "up". PID is
	// the id of the process.
	Command string `json:"command,omitempty"`
	PID     int    `json:"pid,omitempty"`
	// Idle is set if no services run in the process: nobody works on the runs of the
	// folder.
	Idle bool `json:"idle,omitempty"`
	// Data is its data folder, Roots are its data roots, and Artifacts is the
	// address of its artifact store; all absolute.
	Data      string   `json:"data"`
	Roots     []string `json:"roots"`
	Artifacts string   `json:"artifacts"`
}

// IsUp reports whether the process is "tunebus up", which stays until a person ends it.
func (u Up) IsUp() bool { return u.Command == "" }

// String names the process for people.
func (u Up) String() string {
	name := "tunebus up"
	if !u.IsUp() {
		name = "tunebus " + u.Command
	}
	if u.PID == 0 {
		return name
	}
	return fmt.Sprintf("%s (process %d)", name, u.PID)
}

// folder is where the files lie.
func folder() (string, error) {
	dir, err := userfolder.Cache()
	return filepath.Join(dir, "tunebus", "up"), err
}

// path is the file of the process that listens on an address, such as
// nats://127.0.0.1:4222.
func path(address string) (string, error) {
	dir, err := folder()
	if err != nil {
		return "", err
	}
	_, host, ok := strings.Cut(address, "://")
	if !ok {
		host = address
	}
	name := strings.NewReplacer(":", "-", "/", "-").Replace(strings.TrimSuffix(host, "/"))
	return filepath.Join(dir, name+".json"), nil
}

// Announce says that a process works on a data folder, until stop is called.
func Announce(address string, up Up) (stop func(), err error) {
	file, err := path(address)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	f, err := lock(file)
	if err != nil {
		return nil, fmt.Errorf("announce %s: %w", address, err)
	}
	text, err := json.Marshal(up)
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.Write(text)
	}
	if err != nil {
		return nil, fmt.Errorf("announce %s: %w", address, errors.Join(err, os.Remove(file), f.Close()))
	}
	return func() {
		_ = os.Remove(file) // without a lock it says nothing
		_ = f.Close()
	}, nil
}

// lock opens and locks a file that whoever finds it unlocked removes.
func lock(file string) (*os.File, error) {
	for {
		f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		if err := tryLock(f); err != nil {
			return nil, errors.Join(err, f.Close())
		}
		mine, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if there, err := os.Stat(file); err == nil && os.SameFile(mine, there) {
			return f, nil
		}
		_ = f.Close() // it was removed before it was locked
	}
}

// tryLock is [filelock.TryLock] that tells the owner of a file from who looks at
// it: the latter holds the lock for a moment only.
func tryLock(f *os.File) error {
	const tries = 5
	for try := 1; ; try++ {
		if err := filelock.TryLock(f); try == tries || !errors.Is(err, filelock.ErrLocked) {
			return err
		}
		<-time.After(2 * time.Millisecond)
	}
}

// Find returns the process that listens on an address, if it runs on this machine and
// belongs to this user.
func Find(address string) (up Up, ok bool) {
	file, err := path(address)
	if err != nil {
		return up, false
	}
	return read(file)
}

// IsRunning reports whether a process that was found still runs.
func IsRunning(up Up) bool {
	found, ok := Find(up.URL)
	return ok && found.PID == up.PID && found.Data == up.Data
}

// Running lists the processes that work on data folders of this machine and belong to
// this user. It removes the files of those that have ended.
func Running() []Up {
	dir, err := folder()
	if err != nil {
		return nil
	}
	_, _ = filelock.RemoveUnlocked(dir, "*.json") // they say nothing
	files, err := fileglob.In(dir, "*.json")
	if err != nil {
		return nil
	}
	var all []Up
	for _, file := range files {
		if up, ok := read(file); ok && up.URL != "" {
			all = append(all, up)
		}
	}
	return all
}

// read reads the file of a process. ok is false if the process has ended.
func read(file string) (up Up, ok bool) {
	f, err := os.Open(file)
	if err != nil {
		return up, false
	}
	defer f.Close()
	if !errors.Is(tryLock(f), filelock.ErrLocked) {
		return up, false
	}
	if json.NewDecoder(f).Decode(&up) != nil || up.Data == "" {
		return Up{}, false
	}
	if _, err := os.Stat(filepath.Join(up.Data, "nats")); errors.Is(err, fs.ErrNotExist) {
		return Up{}, false
	}
	return up, true
}
