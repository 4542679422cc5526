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

// listFile lists what exports wrote, in the folder that they wrote.
const listFile = ".tunebus-export.json"

// written is a file that an export wrote. One of another size or time is somebody else's.
type written struct {
	Name string    `json:"name"` // below the folder, with "/" between its parts
	Size int64     `json:"size"`
	Time time.Time `json:"time"`
}

// listed is the list of the files in a folder.
func listed(dir string, names []string) ([]written, error) {
	files := make([]written, 0, len(names))
	for _, name := range names {
		info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return nil, err
		}
		files = append(files, written{name, info.Size(), info.ModTime()})
	}
	return files, nil
}

// writeList writes a list to a file.
func writeList(file string, files []written) error {
	body, err := json.MarshalIndent(files, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(body, '\n'), 0o644)
}

// readList reads the list of earlier exports. Without one that can be read, there was none.
func readList(dir string) (files []written) {
	body, err := os.ReadFile(filepath.Join(dir, listFile))
	if err != nil || json.Unmarshal(body, &files) != nil {
		return nil
	}
	return files
}

// publication is how the files of an export get their place.
type publication struct {
	from, to string
	names    []string
	// whole is set if they are a whole model: weights of another one must not stay beside it.
	whole bool
}

// publish gives the files in a folder their place. A new folder appears at once. In one that is
// there files of the same names are replaced, and everything else stays but weights that an earlier
// export of a model wrote. Whenever the process is killed, the folder has either all files or no
// configuration, without which nothing loads it. publish returns what stays and would be read as a
// part of the model.
func (t *target) publish(from string, names []string, whole bool) (stay []string, err error) {
	files, err := listed(from, names)
	if err != nil {
		return nil, err
	}
	if t.there == "" {
		if whole {
			if err := writeList(filepath.Join(from, listFile), files); err != nil {
				return nil, err
			}
		}
		if err := os.Rename(from, t.dir); err != nil {
			return nil, targetError(t.dir, err)
		}
		return nil, nil
	}
	if err := checkForeign(t.dir, names); err != nil {
		return nil, err
	}
	if err := checkChanged(t.dir, names); err != nil {
		return nil, err
	}
	p := publication{from, t.there, names, whole}
	earlier := readList(p.to)
	if whole || len(earlier) > 0 {
		// Both lists, first: an export that goes on after one that was killed knows what is there.
		if err := p.list(slices.Concat(files, earlier)); err != nil {
			return nil, targetError(t.dir, err)
		}
	}
	stay, err = p.replace(earlier)
	if err == nil && (whole || len(earlier) > 0) {
		err = p.list(append(files, p.remaining(earlier)...))
	}
	if err != nil {
		return nil, targetError(t.dir, err)
	}
	return stay, nil
}

// list replaces the list in the folder.
func (p publication) list(files []written) error {
	next := filepath.Join(filepath.Dir(p.from), listFile)
	if err := writeList(next, files); err != nil {
		return err
	}
	return os.Rename(next, filepath.Join(p.to, listFile))
}

// remaining are files of earlier exports that are still in the folder.
func (p publication) remaining(earlier []written) (files []written) {
	for _, w := range earlier {
		if _, err := os.Lstat(p.at(w.Name)); err == nil && !slices.Contains(p.names, w.Name) {
			files = append(files, w)
		}
	}
	return files
}

// at is the place of a file.
func (p publication) at(name string) string {
	return filepath.Join(p.to, filepath.FromSlash(name))
}

// replace moves the files to their place, the configurations last.
func (p publication) replace(earlier []written) (stay []string, err error) {
	configurations, others := []string{}, []string{}
	for _, name := range p.names {
		if !isConfiguration(name) {
			others = append(others, name)
			continue
		}
		configurations = append(configurations, name)
		if err := os.Remove(p.at(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if p.whole {
		if stay, err = p.removeOthers(earlier); err != nil {
			return nil, err
		}
	}
	for _, name := range append(others, configurations...) {
		if err := os.MkdirAll(filepath.Dir(p.at(name)), 0o755); err != nil {
			return nil, err
		}
		if err := os.Rename(filepath.Join(p.from, filepath.FromSlash(name)), p.at(name)); err != nil {
			return nil, err
		}
	}
	return stay, nil
}

// isConfiguration reports whether a file is the one by which a loader knows a model.
func isConfiguration(name string) bool {
	file := path.Base(name)
	return file == "config.json" || file == "adapter_config.json"
}

// removeOthers removes the weights and configurations of earlier exports that the files do not
// replace. It returns those that stay, because they are not as an export wrote them.
func (p publication) removeOthers(earlier []written) (stay []string, err error) {
	for _, dir := range []string{"", baseFolder} {
		entries, err := os.ReadDir(p.at(dir))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, entry := range entries {
			name := path.Join(dir, entry.Name())
			if entry.IsDir() || !isExported(name) || slices.Contains(p.names, name) {
				continue
			}
			if info, err := entry.Info(); err != nil || !isUnchanged(info, name, earlier) {
				stay = append(stay, name)
				continue
			}
			if err := os.Remove(p.at(name)); err != nil {
				return nil, err
			}
		}
	}
	return stay, nil
}

// staying says that a file stays which no export wrote.
func staying(name string) string {
	return fmt.Sprintf("%s stays: no export wrote it as it is; a loader may read it as a part of the model, so move it away if it is none", shown(name))
}
