package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
)

// temporaryPattern names the files and folders that are not complete yet.
const temporaryPattern = ".fetch-*"

// PutDir stores the files of a folder below key, which gets a "/" behind it, and
// returns the reference to their manifest. Links to files are followed. The
// error for a folder without files is [manifest.ErrEmptyFolder].
func (f *Files) PutDir(ctx context.Context, key, dir string) (events.Reference, error) {
	ref, err := f.putDir(ctx, key, dir)
	if err != nil {
		return events.Reference{}, fmt.Errorf("store folder %s: %w", dir, err)
	}
	return ref, nil
}

func (f *Files) putDir(ctx context.Context, key, dir string) (events.Reference, error) {
	m, err := manifest.Of(ctx, dir, manifest.Digest)
	if err != nil {
		return events.Reference{}, err
	}
	text, err := m.Encode()
	if err != nil {
		return events.Reference{}, err
	}
	folder := events.Reference{Key: key + "/" + manifest.Name}
	stored := map[string]bool{}
	for _, file := range m.Files {
		if stored[file.SHA256] {
			continue
		}
		stored[file.SHA256] = true
		want := m.Reference(folder, file)
		path := filepath.Join(dir, filepath.FromSlash(file.Path))
		got, err := f.PutFile(ctx, want.Key, want.MediaType, path)
		if err == nil && got.SHA256 != want.SHA256 {
			err = fmt.Errorf("%s changed while it was stored", path)
		}
		if err != nil {
			return events.Reference{}, err
		}
	}
	return f.store.Put(ctx, folder.Key, manifest.MediaType, bytes.NewReader(text))
}

// FetchDir copies a stored folder to dir, which must not exist or be empty. A
// folder that has the content of ref already remains as it is. For a folder with
// other files the error is [artifact.ErrExists].
func (f *Files) FetchDir(ctx context.Context, ref events.Reference, dir string) error {
	return f.makeDir(ctx, ref, dir, f.out.copyFile)
}

// OpenDir is [Files.FetchDir] for a folder that is only read: its files may be
// the store's own, or those of the cache.
func (f *Files) OpenDir(ctx context.Context, ref events.Reference, dir string) error {
	return f.makeDir(ctx, ref, dir, f.out.openFile)
}

// ExportDir is [Files.FetchDir] for a folder that a person keeps: large files
// are hard links to those of a store on the same file system.
func (f *Files) ExportDir(ctx context.Context, ref events.Reference, dir string) error {
	return f.makeDir(ctx, ref, dir, f.out.exportFile)
}

// Manifest reads the manifest of a stored folder. The error for another artifact
// names its media type.
func (f *Files) Manifest(ctx context.Context, ref events.Reference) (manifest.Manifest, error) {
	m, err := readManifest(ctx, f.store, ref)
	if err != nil {
		return m, fmt.Errorf("folder %q: %w", ref.Key, err)
	}
	return m, nil
}

// readManifest reads and verifies the manifest that ref names.
func readManifest(ctx context.Context, s Store, ref events.Reference) (manifest.Manifest, error) {
	if !manifest.Is(ref) {
		return manifest.Manifest{}, notAFolder(ref)
	}
	r, err := s.Get(ctx, ref)
	if err != nil {
		return manifest.Manifest{}, err
	}
	m, err := manifest.Read(r)
	return m, errors.Join(err, r.Close())
}

func notAFolder(ref events.Reference) error {
	return fmt.Errorf("its media type is %q, not %s or %s", ref.MediaType, manifest.MediaType, mediaTypeTar)
}

func (f *Files) makeDir(ctx context.Context, ref events.Reference, dir string, place placer) error {
	err := f.store.Check(ref)
	if err == nil && !IsFolder(ref) {
		err = notAFolder(ref)
	}
	if err == nil {
		err = f.fillDir(ctx, ref, dir, place)
	}
	if err != nil {
		return fmt.Errorf("fetch artifact %q to folder %s: %w", ref.Key, dir, err)
	}
	return nil
}

// IsFolder reports whether an artifact is a folder, by its media type.
func IsFolder(ref events.Reference) bool { return manifest.Is(ref) || ref.MediaType == mediaTypeTar }

// fillDir fills a temporary folder and renames it.
func (f *Files) fillDir(ctx context.Context, ref events.Reference, dir string, place placer) error {
	switch same, err := dirHasContent(ctx, ref, dir); {
	case err != nil:
		return err
	case same:
		return nil
	}
	parent := filepath.Dir(filepath.Clean(dir))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return err
	}
	temporary, err := os.MkdirTemp(parent, temporaryPattern)
	if err != nil {
		return err
	}
	if manifest.Is(ref) {
		err = f.out.placeFiles(ctx, ref, temporary, place)
	} else {
		err = f.out.unpackInto(ctx, ref, temporary)
	}
	if err == nil {
		err = os.Chmod(temporary, 0o755)
	}
	if err == nil {
		err = os.Rename(temporary, dir)
	}
	if err != nil {
		// A concurrent call for the same folder may have finished first.
		if same, _ := dirHasContent(ctx, ref, dir); same {
			err = nil
		}
		return errors.Join(err, os.RemoveAll(temporary))
	}
	return nil
}

// placeFiles makes the files of a manifest in a folder.
func (f fetcher) placeFiles(ctx context.Context, ref events.Reference, dir string, place placer) error {
	m, err := readManifest(ctx, f.store, ref)
	if err != nil {
		return err
	}
	for _, file := range m.Files {
		if err := place(ctx, m.Reference(ref, file), filepath.Join(dir, filepath.FromSlash(file.Path))); err != nil {
			return fmt.Errorf("file %q: %w", file.Path, err)
		}
	}
	return nil
}

// dirHasContent reports whether dir is a folder with the content that ref
// describes. It returns false if dir does not exist or is empty, and
// [artifact.ErrExists] if dir has other files.
func dirHasContent(ctx context.Context, ref events.Reference, dir string) (bool, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if len(entries) == 0 {
		return false, nil
	}
	sum, err := digestOf(ctx, ref, dir)
	if err != nil && !errors.Is(err, manifest.ErrEmptyFolder) {
		return false, err
	}
	if sum != ref.SHA256 {
		return false, artifact.ErrExists
	}
	return true, nil
}
