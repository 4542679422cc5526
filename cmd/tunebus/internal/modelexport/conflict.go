package modelexport

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ForeignError says that an export would replace files that no export wrote.
type ForeignError struct {
	Dir   string
	Names []string
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("folder %s: no export wrote %s there, and an export would replace that; move it away, or name another folder", shown(e.Dir), someOf(e.Names))
}

// ChangedError says that an export would replace files that were changed since an export wrote them.
type ChangedError struct {
	Dir   string
	Names []string
}

func (e *ChangedError) Error() string {
	return fmt.Sprintf("folder %s: %s changed since an export wrote it there, and an export would replace that; move it away, or name another folder", shown(e.Dir), someOf(e.Names))
}

// someOf names the first of several files.
func someOf(files []string) string {
	const most = 3
	names := shown(strings.Join(files[:min(most, len(files))], ", "))
	if more := len(files) - most; more > 0 {
		names += fmt.Sprintf(" and %d more", more)
	}
	return names
}

// checkForeign refuses to replace files that no export wrote.
func checkForeign(dir string, names []string) error {
	earlier := readList(dir)
	var foreign []string
	for _, name := range names {
		_, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		if !errors.Is(err, fs.ErrNotExist) && !slices.ContainsFunc(earlier, func(w written) bool { return w.Name == name }) {
			foreign = append(foreign, name)
		}
	}
	if len(foreign) == 0 {
		return nil
	}
	return &ForeignError{Dir: dir, Names: foreign}
}

// checkChanged refuses to replace files that an export wrote and a person changed.
func checkChanged(dir string, names []string) error {
	earlier := readList(dir)
	var changed []string
	for _, name := range names {
		info, err := os.Lstat(filepath.Join(dir, filepath.FromSlash(name)))
		if !errors.Is(err, fs.ErrNotExist) && (err != nil || !isUnchanged(info, name, earlier)) {
			changed = append(changed, name)
		}
	}
	if len(changed) == 0 {
		return nil
	}
	return &ChangedError{Dir: dir, Names: changed}
}

// isUnchanged reports whether a file is as an earlier export wrote it.
func isUnchanged(info fs.FileInfo, name string, earlier []written) bool {
	return info.Mode().IsRegular() && slices.ContainsFunc(earlier, func(w written) bool {
		return w.Name == name && w.Size == info.Size() && w.Time.Equal(info.ModTime())
	})
}
