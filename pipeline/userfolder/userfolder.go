// Package userfolder says where the folders of the user of this process are: the home folder,
// and those for caches, settings and the data of programs.
//
//	dir, err := userfolder.Cache()
//
// A process without HOME, such as a service of the system or a job of cron, has the home folder of its account.
// An account without a home folder has none of them: "/" is nobody's home but that
// of the machine, and what would lie below it is in the way of others.
package userfolder

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
)

// ErrNone means that the user has no home folder.
var ErrNone = errors.New("HOME is not set, and this account has no home folder")

// account is the home folder of the account of this process.
var account = func() string {
	u, err := user.Current()
	if err != nil {
		return ""
	}
	return u.HomeDir
}

// Home is the home folder. The error is [ErrNone].
func Home() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil || !usable(home) {
		home = account()
	}
	if !usable(home) {
		return "", ErrNone
	}
	return home, nil
}

// usable reports whether a path may be a home folder.
func usable(path string) bool {
	return filepath.IsAbs(path) && filepath.Clean(path) != string(filepath.Separator)
}

// Cache is the folder for what can be fetched or computed again: the one that the system of
// this machine has for it, below the home folder where no variable names another.
func Cache() (string, error) {
	switch dir := os.Getenv("XDG_CACHE_HOME"); {
	case runtime.GOOS == "darwin":
		return below("Library", "Caches")
	case filepath.IsAbs(dir):
		return dir, nil
	}
	return below(".cache")
}

// Config is the folder of the settings of programs that keep to XDG, on every system.
func Config() (string, error) {
	if dir := os.Getenv("XDG_CONFIG_HOME"); dir != "" {
		return dir, nil
	}
	return below(".config")
}

// Data is the folder of what programs keep for the user, on every system.
func Data() (string, error) {
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return dir, nil
	}
	return below(".local", "share")
}

// below is a folder below the home folder.
func below(elements ...string) (string, error) {
	home, err := Home()
	if err != nil {
		return "", err
	}
	return filepath.Join(append([]string{home}, elements...)...), nil
}
