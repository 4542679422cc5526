// Package folderaddress spells folders as addresses, such as
// file:///srv/data/artifacts, and reads such addresses.
//
// The name of a folder may hold characters that mean something else in an address: what is
// behind a "?" or a "#" is not part of its path, and "%41" is an "A". So nobody puts
// "file://" before a path by himself: the address would lead to another folder.
//
//	address := folderaddress.Of("/srv/what?/artifacts") // file:///srv/what%3F/artifacts
//	folder, err := folderaddress.Folder(address)
package folderaddress

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
)

const scheme = "file:"

// Of is the address of a folder, by its absolute path.
func Of(folder string) string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(folder)}).String()
}

// Relative is the address of a folder by its path from the working folder, such as
// file:./mlruns.
func Relative(folder string) string {
	return scheme + "./" + (&url.URL{Path: filepath.ToSlash(folder)}).EscapedPath()
}

// Is reports whether an address is meant to be that of a folder.
func Is(address string) bool { return strings.HasPrefix(address, scheme) }

// Folder is the folder of an address such as file:./mlruns, file:///srv/mlruns or
// file://localhost/srv/mlruns. A relative one stays relative. The error does not contain the
// address.
func Folder(address string) (string, error) {
	rest, ok := strings.CutPrefix(address, scheme)
	if !ok {
		return "", errors.New("want file: and a folder, such as file:./folder or file:///absolute/folder")
	}
	if strings.ContainsAny(rest, "?#") {
		return "", errors.New(`in an address "?" and "#" are no part of a folder's name; write %3F for "?" and %23 for "#"`)
	}
	if local, ok := strings.CutPrefix(rest, "//"); ok {
		rest = strings.TrimPrefix(local, "localhost")
		if !strings.HasPrefix(rest, "/") && local != rest || rest == "" || rest[0] != '/' {
			return "", errors.New("a file address has three slashes before an absolute folder, file:///absolute/folder, and none before a relative one, file:./folder")
		}
	}
	path, err := url.PathUnescape(rest)
	if err != nil {
		return "", fmt.Errorf(`%w; write %%25 for "%%"`, err)
	}
	if path == "" || strings.ContainsRune(path, 0) {
		return "", errors.New("it names no folder, such as file:./folder or file:///absolute/folder")
	}
	return filepath.FromSlash(path), nil
}

// Absolute is an address of a folder with its absolute path. Any other address stays as it is.
func Absolute(address string) (string, error) {
	if !Is(address) {
		return address, nil
	}
	folder, err := Folder(address)
	if err == nil {
		folder, err = filepath.Abs(folder)
	}
	return Of(folder), err
}
