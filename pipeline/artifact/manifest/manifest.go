// Package manifest describes folders in an artifact store. A folder is stored as
// one object for each file, and a manifest that lists them:
//
//	runs/<run>/finetune/1/model/manifest.json   the manifest, which events refer to
//	runs/<run>/finetune/1/model/<SHA-256>       a file of the folder, once for each content
//	content/<SHA-256>                           a manifest, or a file, of an uploaded folder
//
// The files lie beside their manifest and are named by their digests, see
// [Manifest.Reference]. So a manifest holds no key: its digest depends only on
// the names and the contents of the files, and the same folder has the same
// digest in every store.
//
//	m, err := manifest.Of(ctx, dir, manifest.Digest)
//	...
//	m, err := manifest.Read(content) // of a reference with [MediaType]
//	for _, f := range m.Files {
//		ref := m.Reference(folder, f)
//		...
//	}
package manifest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/events"
)

// MediaType is the media type of a manifest, and so of the reference to a
// folder.
const MediaType = "application/vnd.tunebus.folder+json"

// Name is the last part of the key of a manifest that is not named by its
// digest.
const Name = "manifest.json"

// maxBytes limits a manifest, which is read as a whole: some 200,000 files.
const maxBytes = 32 << 20

// ErrTooManyFiles means that a folder has more files than a manifest can list.
var ErrTooManyFiles = errors.New("the folder holds more files than a manifest can list, which is about 200,000; pack them into fewer files")

// Manifest lists the files of a folder, sorted by path.
type Manifest struct {
	Files []File `json:"files"`
}

// File is a file of a folder.
type File struct {
	// Path is its name in the folder, with "/" between the parts.
	Path string `json:"path"`
	// Size is its length in bytes.
	Size int64 `json:"size"`
	// SHA256 is the digest of its content, 64 lower-case hexadecimal digits.
	SHA256 string `json:"sha256"`
}

// Is reports whether a reference is one to a manifest.
func Is(ref events.Reference) bool { return ref.MediaType == MediaType }

// Prefix begins the keys of the files of a folder.
func Prefix(folder events.Reference) string { return path.Dir(folder.Key) + "/" }

// Reference is the reference to a file of a folder.
func (m Manifest) Reference(folder events.Reference, f File) events.Reference {
	return events.Reference{
		Store:     folder.Store,
		Key:       Prefix(folder) + f.SHA256,
		MediaType: "application/octet-stream",
		Size:      f.Size,
		SHA256:    f.SHA256,
	}
}

// Bytes is the length of all files together.
func (m Manifest) Bytes() (n int64) {
	for _, f := range m.Files {
		n += f.Size
	}
	return n
}

// Encode returns the manifest as it is stored. The error wraps
// [ErrTooManyFiles] if it would be too long to be read.
func (m Manifest) Encode() ([]byte, error) {
	text, err := json.Marshal(m)
	if err == nil && len(text) > maxBytes {
		err = ErrTooManyFiles
	}
	return text, err
}

// Read reads a stored manifest and checks it: a manifest may come from anywhere,
// and the names in it become names of files. It reads r to its end.
func Read(r io.Reader) (Manifest, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return Manifest{}, err
	}
	if len(text) > maxBytes {
		return Manifest{}, fmt.Errorf("read manifest: %w", ErrTooManyFiles)
	}
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return Manifest{}, fmt.Errorf("read manifest: %w", err)
	}
	return m, m.check()
}

// check refuses a manifest whose files could not lie in one folder, or whose
// digests are none: they become parts of keys.
func (m Manifest) check() error {
	if len(m.Files) == 0 {
		return fmt.Errorf("read manifest: %w", ErrEmptyFolder)
	}
	seen := make(map[string]bool, len(m.Files))
	for _, f := range m.Files {
		if err := CheckPath(f.Path); err != nil {
			return fmt.Errorf("read manifest: %w", err)
		}
		if seen[f.Path] {
			return fmt.Errorf("read manifest: it lists %q twice", f.Path)
		}
		seen[f.Path] = true
		if f.Size < 0 || !isDigest(f.SHA256) {
			return fmt.Errorf("read manifest: entry %q has no size or no SHA-256", f.Path)
		}
	}
	for name := range seen {
		for parent := path.Dir(name); parent != "."; parent = path.Dir(parent) {
			if seen[parent] {
				return fmt.Errorf("read manifest: %q is a file and a folder", parent)
			}
		}
	}
	return nil
}

// CheckPath refuses names that could lead outside a folder on any operating
// system.
func CheckPath(name string) error {
	local, err := filepath.Localize(name)
	if err != nil || !filepath.IsLocal(local) || name == "." || path.Clean(name) != name || strings.ContainsAny(name, `\:`) {
		return fmt.Errorf("entry %q is no name inside a folder", name)
	}
	return nil
}

// isDigest reports whether a text is 64 lower-case hexadecimal digits.
func isDigest(s string) bool {
	if len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
