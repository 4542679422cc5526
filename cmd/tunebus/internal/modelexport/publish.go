package modelexport

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"
)

// listFile lists what an export wrote, in the folder that it wrote.
const listFile = ".tunebus-export.json"

// written is a file that an export wrote. One of another size or time is somebody else's.
type written struct {
	Name string    `json:"name"` // below the folder, with "/" between its parts
	Size int64     `json:"size"`
	Time time.Time `json:"time"`
}

// writeList writes the list of an export's files.
func writeList(dir string, names []string) error {
	files := make([]written, 0, len(names))
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		files = append(files, written{name, info.Size(), info.ModTime()})
	}
	body, err := json.MarshalIndent(files, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, listFile), append(body, '\n'), 0o644)
}

// readList reads the list of an earlier export. Without one that can be read, there was none.
func readList(dir string) (files []written) {
	body, err := os.ReadFile(filepath.Join(dir, listFile))
	if err != nil || json.Unmarshal(body, &files) != nil {
		return nil
	}
	return files
}

// publish gives the files that were written their place. An empty folder is
// replaced. In any other one, files of the same names are replaced, weights that
// an earlier export wrote are removed, and everything else stays. It returns
// what stays and would be read as a part of the model.
func publish(from, to string, names []string) (stay []string, err error) {
	if err := writeList(from, names); err != nil {
		return nil, err
	}
	// The working folder of a shell must stay, even if it is empty.
	if wd, err := os.Getwd(); err != nil || wd != to {
		if err := os.Remove(to); err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil, os.Rename(from, to)
		}
	}
	earlier := readList(to)
	for _, name := range append(slices.Clone(names), listFile) {
		target := filepath.Join(to, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return nil, err
		}
		if err := os.Rename(filepath.Join(from, filepath.FromSlash(name)), target); err != nil {
			return nil, err
		}
	}
	for _, dir := range []string{"", baseFolder} {
		entries, err := os.ReadDir(filepath.Join(to, dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, entry := range entries {
			name := path.Join(dir, entry.Name())
			if entry.IsDir() || !isExported(name) || slices.Contains(names, name) {
				continue
			}
			if !isUnchanged(entry, name, earlier) {
				stay = append(stay, name)
				continue
			}
			if err := os.Remove(filepath.Join(to, filepath.FromSlash(name))); err != nil {
				return nil, err
			}
		}
	}
	return stay, nil
}

// isUnchanged reports whether a file is as an earlier export wrote it.
func isUnchanged(entry fs.DirEntry, name string, earlier []written) bool {
	info, err := entry.Info()
	return err == nil && slices.ContainsFunc(earlier, func(w written) bool {
		return w.Name == name && w.Size == info.Size() && w.Time.Equal(info.ModTime())
	})
}

// staying says that a file stays which no export wrote.
func staying(name string) string {
	return fmt.Sprintf("%s stays: no export wrote it as it is; a loader may read it as a part of the model, so move it away if it is none", name)
}
