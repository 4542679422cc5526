package session

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// findUp finds the up on this machine that a person means who named no server: the
// one on the usual data folder, or else the only one. Several are an error.
func findUp(cfg settings.Settings) (up localup.Up, found bool, several error) {
	ups := localup.Running()
	if up, found := upOn(ups, cfg.Data.Folder); found {
		return up, true, nil
	}
	switch len(ups) {
	case 0:
		return up, false, nil
	case 1:
		return ups[0], true, nil
	}
	lines := make([]string, len(ups))
	for i, u := range ups {
		lines[i] = fmt.Sprintf("  --server %s  (data in %s)", u.URL, u.Data)
	}
	return up, false, exit.Input(fmt.Errorf("several ups run on this machine; say which one:\n%s", strings.Join(lines, "\n")))
}

// upOn finds the up that works on a data folder.
func upOn(ups []localup.Up, folder string) (up localup.Up, found bool) {
	dir, err := filepath.Abs(folder)
	if err != nil || folder == "" {
		return up, false
	}
	for _, u := range ups {
		if u.Data == dir {
			return u, true
		}
	}
	return up, false
}
