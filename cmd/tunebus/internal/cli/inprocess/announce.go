package inprocess

import (
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localup"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Announce says on this machine that the services of this process work on a data
// folder, until stop is called. up has the address of the server, and what process it is.
func Announce(up localup.Up, cfg settings.Settings) (stop func(), err error) {
	if up.Artifacts, err = StoreAddress(cfg); err != nil {
		return nil, err
	}
	if up.Data, err = filepath.Abs(cfg.Data.Folder); err != nil {
		return nil, err
	}
	for _, root := range cfg.Data.Roots {
		if root, err = filepath.Abs(root); err != nil {
			return nil, err
		}
		up.Roots = append(up.Roots, root)
	}
	up.PID = os.Getpid()
	return localup.Announce(up.URL, up)
}

// StoreAddress is the address of the artifact store of the services.
func StoreAddress(cfg settings.Settings) (string, error) {
	if cfg.Artifacts.URL != "" {
		return cfg.Artifacts.URL, nil
	}
	dir, err := filepath.Abs(filepath.Join(cfg.Data.Folder, "artifacts"))
	return folderaddress.Of(dir), err
}
