package cachelist

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/pipeline/userfolder"
)

// Ours is the folder of a repository in the cache that huggingface_hub knows nothing
// of. It has a folder for each commit, with the chosen files.
const Ours = ".tunebus"

// Marker begins the name of the file that marks a folder of chosen files as complete.
const Marker = ".complete"

// Folder is the folder of the cache: dir, or the one that huggingface_hub uses if
// no variable names another.
func Folder(dir string) (string, error) {
	if dir != "" {
		return dir, nil
	}
	if cache := os.Getenv("XDG_CACHE_HOME"); cache != "" {
		return filepath.Join(cache, "huggingface", "hub"), nil
	}
	home, err := userfolder.Home()
	if err != nil {
		return "", fmt.Errorf("cache of the Hub: %w; name a folder by data.hub_cache of the settings, or HF_HUB_CACHE", err)
	}
	return filepath.Join(home, ".cache", "huggingface", "hub"), nil
}
