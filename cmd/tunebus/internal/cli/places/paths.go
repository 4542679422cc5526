package places

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/pipeline/folderaddress"
)

// stored is a path as the file has it: relative to the data folder where both were named
// relative to the working folder.
func stored(data, path string) (string, error) {
	if path == "" {
		return "", nil
	}
	if !filepath.IsAbs(data) && !filepath.IsAbs(path) {
		if relative, err := filepath.Rel(data, path); err == nil {
			return relative, nil
		}
	}
	return filepath.Abs(path)
}

// storedAddress is stored of the folder of an address.
func storedAddress(data, address string) (string, error) {
	return ofFolder(address, func(folder string) (string, error) { return stored(data, folder) })
}

// shown is the path of the file as a person in the working folder writes it.
func shown(data, path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(data, path)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	working, err := os.Getwd()
	if err != nil {
		return absolute
	}
	relative, err := filepath.Rel(working, absolute)
	if err != nil || relative == ".." || strings.HasPrefix(relative, ".."+string(filepath.Separator)) {
		return absolute
	}
	return relative
}

// shownAddress is shown of the folder of an address.
func shownAddress(data, address string) (string, error) {
	return ofFolder(address, func(folder string) (string, error) { return shown(data, folder), nil })
}

// ofFolder changes the folder of an address; any other address stays as it is.
func ofFolder(address string, change func(folder string) (string, error)) (string, error) {
	if !folderaddress.Is(address) {
		return address, nil
	}
	folder, err := folderaddress.Folder(address)
	if err == nil {
		folder, err = change(folder)
	}
	if err != nil {
		return "", err
	}
	if filepath.IsAbs(folder) {
		return folderaddress.Of(folder), nil
	}
	return folderaddress.Relative(folder), nil
}

// samePath reports whether two paths are those of one place.
func samePath(a, b string) bool {
	first, err := filepath.Abs(a)
	if err != nil {
		return false
	}
	second, err := filepath.Abs(b)
	return err == nil && first == second
}

// sameAddress reports whether two addresses are those of one place.
func sameAddress(a, b string) bool {
	first, err := folderaddress.Absolute(a)
	if err != nil {
		return false
	}
	second, err := folderaddress.Absolute(b)
	return err == nil && first == second
}
