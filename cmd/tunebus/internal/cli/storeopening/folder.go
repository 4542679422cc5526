package storeopening

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/places"
	"github.com/tunebus/tunebus/pipeline/folderaddress"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Earlier says in which other artifact stores runs of a data folder left theirs, as the end
// of a sentence; empty if it knows of none.
func Earlier(data string) string {
	before, err := places.Read(data)
	if err != nil {
		return ""
	}
	stores, err := before.EarlierStores()
	if err != nil || len(stores) == 0 {
		return ""
	}
	return "; runs before on this data folder had " + strings.Join(stores, " and ")
}

// OfFolder is the address of the artifact store of a data folder: the one that its last
// run or up used, or the folder artifacts in it.
func OfFolder(data string) (string, error) {
	before, err := places.Read(data)
	if err == nil {
		var cfg settings.Settings
		if _, err = before.Use(&cfg); err == nil && cfg.Artifacts.URL != "" {
			return cfg.Artifacts.URL, nil
		}
	}
	if err != nil {
		return "", exit.Input(err)
	}
	dir, err := filepath.Abs(filepath.Join(data, "artifacts"))
	if err != nil {
		return "", fmt.Errorf("artifact store: %w", err)
	}
	if _, err := os.Stat(dir); err != nil {
		return "", exit.Input(fmt.Errorf("where do the artifacts lie? There is no folder %s; "+
			"--artifacts, or artifacts.url of the settings, names the store that the services use", dir))
	}
	return folderaddress.Of(dir), nil
}
