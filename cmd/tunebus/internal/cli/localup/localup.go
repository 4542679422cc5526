// Package localup says whether the services of "tunebus up" that a command talks
// to run on this machine, and then which data folder they work on: they can read
// files of this machine where they lie.
//
// Each up keeps a file in the user's cache folder, named by its address, and holds
// a lock on it. So a file without a lock is that of an up that has ended, however
// it ended. Other users do not find it, and intake checks by the id of the data
// folder whether a reference is one of its own.
package localup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/pipeline/filelock"
)

// Up is a running up.
type Up struct {
	// URL is the address of its NATS server.
	URL string `json:"url,omitempty"`
	// Data is its data folder, Roots are its data roots, and Artifacts is the
	// address of its artifact store; all absolute.
	Data      string   `json:"data"`
	Roots     []string `json:"roots"`
	Artifacts string   `json:"artifacts"`
}

// path is the file of the up that listens on an address, such as
// nats://127.0.0.1:4222.
func path(address string) (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	_, host, ok := strings.Cut(address, "://")
	if !ok {
		host = address
	}
	name := strings.NewReplacer(":", "-", "/", "-").Replace(strings.TrimSuffix(host, "/"))
	return filepath.Join(dir, "tunebus", "up", name+".json"), nil
}

// Announce says that an up runs, until stop is called.
func Announce(address string, up Up) (stop func(), err error) {
	file, err := path(address)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(up)
	if err == nil {
		err = filelock.TryLock(f)
	}
	if err == nil {
		err = f.Truncate(0)
	}
	if err == nil {
		_, err = f.Write(text)
	}
	if err != nil {
		return nil, fmt.Errorf("announce %s: %w", address, errors.Join(err, f.Close()))
	}
	// The file stays: another up may hold it open already, and without a lock it
	// says nothing.
	return func() { _ = f.Close() }, nil
}

// Find returns the up that listens on an address, if it runs on this machine and
// belongs to this user.
func Find(address string) (up Up, ok bool) {
	file, err := path(address)
	if err != nil {
		return up, false
	}
	return read(file)
}

// Running lists the ups that run on this machine and belong to this user.
func Running() []Up {
	file, err := path("any")
	if err != nil {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(file), "*.json"))
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

// read reads the file of an up. ok is false if the up has ended.
func read(file string) (up Up, ok bool) {
	f, err := os.Open(file)
	if err != nil {
		return up, false
	}
	defer f.Close()
	if !errors.Is(filelock.TryLock(f), filelock.ErrLocked) {
		return up, false
	}
	if json.NewDecoder(f).Decode(&up) != nil || up.Data == "" {
		return Up{}, false
	}
	if _, err := os.Stat(filepath.Join(up.Data, "inputs")); errors.Is(err, fs.ErrNotExist) {
		return Up{}, false
	}
	return up, true
}
