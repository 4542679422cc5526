package localinput

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// Known lists the paths of the inputs that runs of a data folder have read where they lie,
// sorted. It leaves out what cannot be read.
func Known(data string) ([]string, error) {
	dir := filepath.Join(data, "inputs")
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) != ".json" {
			continue
		}
		if path, ok := pathIn(filepath.Join(dir, entry.Name())); ok {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths, nil
}

// pathIn reads the path that a memory is about.
func pathIn(file string) (path string, ok bool) {
	f, err := os.Open(file)
	if err != nil {
		return "", false
	}
	defer f.Close()
	var m struct {
		Path string `json:"path"`
	}
	return m.Path, json.NewDecoder(f).Decode(&m) == nil && m.Path != ""
}
