package localinput

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/allowedpath"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/atomicfile"
)

// storePrefix begins the store of a reference to a local input.
const storePrefix = "local:"

// Is reports whether a reference is one to a local input, of whichever data
// folder.
func Is(ref events.Reference) bool { return strings.HasPrefix(ref.Store, storePrefix) }

// Folder is the data folder whose runs refer to local inputs. It may be used
// concurrently, also by several processes.
type Folder struct {
	dir string // inputs in the data folder
	id  string

	mu sync.Mutex // held while a memory is changed
}

// Open opens a data folder, which may not exist yet, and gives it an id if it has
// none.
func Open(data string) (*Folder, error) {
	f := &Folder{dir: filepath.Join(data, "inputs")}
	if err := os.MkdirAll(f.dir, 0o750); err != nil {
		return nil, fmt.Errorf("data folder %s: %w", data, err)
	}
	var err error
	if f.id, err = identify(filepath.Join(f.dir, "id")); err != nil {
		return nil, fmt.Errorf("id of data folder %s: %w", data, err)
	}
	return f, nil
}

// identify reads the id, or makes it. Of several processes one makes it.
func identify(path string) (string, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := writeOnce(path, rand.Text()); err != nil {
			return "", err
		}
		text, err = os.ReadFile(path)
	}
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(text))
	if !events.ValidToken(id) {
		return "", fmt.Errorf("%s does not hold an id", path)
	}
	return id, nil
}

// writeOnce creates a file with a text, unless it exists.
func writeOnce(path, text string) error {
	fresh := path + "-" + text
	err := atomicfile.Write(fresh, func(w io.Writer) error {
		_, err := io.WriteString(w, text+"\n")
		return err
	}, atomicfile.Options{Sync: true, Perm: 0o640})
	if err != nil {
		return err
	}
	err = os.Link(fresh, path)
	if err != nil && !errors.Is(err, fs.ErrExist) { // a file system without links
		err = os.Rename(fresh, path)
	} else {
		err = os.Remove(fresh)
	}
	return err
}

// StoreID is the store of the references to inputs of this data folder.
func (f *Folder) StoreID() string { return storePrefix + f.id }

// Named reports whether a path can be the key of a reference: JSON has no other
// texts.
func Named(path string) bool { return utf8.ValidString(path) }

// Describe reads a file or folder and returns the reference to it. Files that
// were read before and look the same are not read again.
func (f *Folder) Describe(ctx context.Context, path string) (events.Reference, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return events.Reference{}, err
	}
	if !Named(abs) {
		return events.Reference{}, fmt.Errorf("the path %q is not UTF-8", abs)
	}
	d, err := f.read(ctx, abs, abs)
	if err != nil {
		return events.Reference{}, err
	}
	return events.Reference{
		Store: f.StoreID(), Key: abs, MediaType: d.mediaType, Size: d.size, SHA256: d.sum,
		Name: events.Cut(filepath.Base(abs), events.MaxNameBytes),
	}, nil
}

// Accept is [Folder.Describe], and allows runs of this data folder to open the
// input with this content, wherever it lies. Only the owner of the data folder
// may say so, never an event.
func (f *Folder) Accept(ctx context.Context, path string) (events.Reference, error) {
	ref, err := f.Describe(ctx, path)
	if err != nil || slices.Contains(f.recall(ref.Key).Accepted, ref.SHA256) {
		return ref, err
	}
	return ref, f.remember(ref.Key, func(m *memory) { m.Accepted = append(m.Accepted, ref.SHA256) })
}

// Check returns an error if a reference may not be opened by services of this
// data folder. It is the same whether the path exists or not.
func (f *Folder) Check(ref events.Reference, roots []string) error {
	_, err := f.resolve(ref, roots)
	return err
}

// errElsewhere means that a reference is one of another data folder.
var errElsewhere = errors.New("it is a path of another data folder")

// resolve returns the path to open.
func (f *Folder) resolve(ref events.Reference, roots []string) (string, error) {
	if ref.Store != f.StoreID() {
		return "", errElsewhere
	}
	if filepath.IsAbs(ref.Key) && filepath.Clean(ref.Key) == ref.Key && slices.Contains(f.recall(ref.Key).Accepted, ref.SHA256) {
		return ref.Key, nil
	}
	if !filepath.IsAbs(ref.Key) {
		return "", allowedpath.ErrOutside
	}
	return allowedpath.Find(roots, ref.Key)
}

// ChangedError means that an input is no longer what it was when its run was
// asked for.
type ChangedError struct {
	Path       string
	WantSHA256 string
	HaveSHA256 string // empty: nothing is there
}

// Error implements error.
func (e *ChangedError) Error() string {
	if e.HaveSHA256 == "" {
		return fmt.Sprintf("%s is gone; when the run was asked for it had sha256 %s", e.Path, e.WantSHA256)
	}
	return fmt.Sprintf("%s has changed: it has sha256 %s, and had %s when the run was asked for", e.Path, e.HaveSHA256, e.WantSHA256)
}

// Find returns the path of an input, once it is certain that its content is that
// of the reference. Otherwise the error is a [ChangedError], or says that the path
// may not be opened.
func (f *Folder) Find(ctx context.Context, ref events.Reference, roots []string) (string, error) {
	path, err := f.resolve(ref, roots)
	if err != nil {
		return "", err
	}
	return path, f.compare(ctx, ref, path)
}

// Compare returns a [ChangedError] if an input is no longer what the reference
// says. It is for the owner of the data folder: the path may lie anywhere.
func (f *Folder) Compare(ctx context.Context, ref events.Reference) error {
	if ref.Store != f.StoreID() || !filepath.IsAbs(ref.Key) {
		return errElsewhere
	}
	return f.compare(ctx, ref, ref.Key)
}

// compare compares the input at path with a reference.
func (f *Folder) compare(ctx context.Context, ref events.Reference, path string) error {
	d, err := f.read(ctx, ref.Key, path)
	gone := errors.Is(err, fs.ErrNotExist) || errors.Is(err, manifest.ErrEmptyFolder)
	if err != nil && !gone {
		return err
	}
	if gone || d.sum != ref.SHA256 || d.mediaType != ref.MediaType {
		return &ChangedError{Path: ref.Key, WantSHA256: ref.SHA256, HaveSHA256: d.sum}
	}
	return nil
}

// description is what an input is at the moment.
type description struct {
	mediaType, sum string
	size           int64
}

// read describes the input at path, which is remembered under key.
func (f *Folder) read(ctx context.Context, key, path string) (description, error) {
	digest := &rememberingDigester{old: f.recall(key).Files, fresh: map[string]seen{}}
	info, err := os.Stat(path)
	if err != nil {
		return description{}, err
	}
	var d description
	if info.IsDir() {
		d, err = readFolder(ctx, path, digest)
	} else {
		d.mediaType = "application/octet-stream"
		d.size, d.sum, err = digest.digest(ctx, path)
	}
	if err != nil {
		return description{}, err
	}
	if digest.changed || len(digest.fresh) != len(digest.old) {
		// A job on a full disk must not fail because it cannot be remembered.
		_ = f.remember(key, func(m *memory) { m.Files = digest.fresh })
	}
	return d, nil
}

func readFolder(ctx context.Context, path string, digest *rememberingDigester) (description, error) {
	files, err := manifest.Of(ctx, path, digest.digest)
	if err != nil {
		return description{}, err
	}
	text, err := files.Encode()
	if err != nil {
		return description{}, err
	}
	sum := sha256.Sum256(text)
	return description{mediaType: manifest.MediaType, size: files.Bytes(), sum: hex.EncodeToString(sum[:])}, nil
}
