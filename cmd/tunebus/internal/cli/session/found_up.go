package session

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// SeveralUpsError means that nobody said which of several ups of this machine is meant.
type SeveralUpsError struct{ Ups []localup.Up }

func (e *SeveralUpsError) Error() string {
	lines := make([]string, len(e.Ups))
	for i, u := range e.Ups {
		lines[i] = fmt.Sprintf("  --server %s  (data in %s)", u.URL, u.Data)
	}
	return "several ups run on this machine; say which one:\n" + strings.Join(lines, "\n")
}

// NoServicesError means that a command needs services, and finds a data folder on which nobody
// works.
type NoServicesError struct {
	Folder string
	// Ups work on other data folders of this machine.
	Ups []localup.Up
	// Err is that of the server at the usual address.
	Err error
}

func (e *NoServicesError) Error() string {
	return fmt.Sprintf("%v, and nobody works on the data folder %s", e.Err, e.Folder)
}

// Unwrap returns the cause.
func (e *NoServicesError) Unwrap() error { return e.Err }

// findUp finds the process on this machine that a person means who named no server: the
// one on the usual data folder or, where there is no such folder, the only up. Several are an
// error, a [*SeveralUpsError].
func findUp(cfg settings.Settings) (up localup.Up, found bool, several error) {
	if up, found := upOn(localup.Running(), cfg.Data.Folder); found || isDataFolder(cfg.Data.Folder) {
		return up, found, nil
	}
	switch all := ups(); len(all) {
	case 0:
		return up, false, nil
	case 1:
		return all[0], true, nil
	default:
		return up, false, exit.Input(&SeveralUpsError{all})
	}
}

// ups are the processes of this machine that stay until a person ends them.
func ups() []localup.Up {
	return slices.DeleteFunc(localup.Running(), func(u localup.Up) bool { return !u.IsUp() })
}

// OtherUps are the ups of this machine that work on other data folders than a given one.
func OtherUps(folder string) []localup.Up {
	return slices.DeleteFunc(ups(), func(u localup.Up) bool {
		_, same := upOn([]localup.Up{u}, folder)
		return same
	})
}
