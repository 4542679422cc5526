package content

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
)

// Uploader stores local files and folders as content.
type Uploader struct {
	store  Store
	digest manifest.Digester

	// beside are files that belong to the file of a key, by key.
	beside map[string][]string

	mu       sync.Mutex
	reserved map[string]bool

	stop context.CancelFunc // of the renewal; nil before the first reservation
	done chan struct{}
}

// NewUploader returns an uploader that learns digests from digest, such as
// [manifest.Digest].
func NewUploader(s Store, digest manifest.Digester) *Uploader {
	return &Uploader{store: s, digest: digest, reserved: map[string]bool{}}
}

// Take has the file of a key stored as a folder, with the files that it needs. Their
// names are relative to its own folder, with "/". The reference has the name of the
// file: it says which of the folder is meant.
func (u *Uploader) Take(key string, files []string) {
	if u.beside == nil {
		u.beside = map[string][]string{}
	}
	u.beside[key] = files
}

// part is an object to upload.
type part struct {
	sum, mediaType string
	size           int64
	key            string // the first one that needs it
	path           string // of the file; empty: text is the content
	text           []byte
}

// Upload stores files and folders, and returns references to them by the same
// keys. The content is safe from garbage collection for some time after [Uploader.Close];
// until then for as long as it takes.
func (u *Uploader) Upload(ctx context.Context, paths map[string]string) (map[string]events.Reference, error) {
	refs := map[string]events.Reference{}
	parts := map[string]part{}
	for key, path := range paths {
		ref, err := u.plan(ctx, key, path, parts)
		if err != nil {
			return nil, fmt.Errorf("upload %s: %w", key, err)
		}
		refs[key] = ref
	}
	if len(parts) == 0 {
		return refs, nil
	}
	digests := map[string]bool{}
	for sum := range parts {
		digests[sum] = true
	}
	if err := u.reserve(ctx, digests); err != nil {
		return nil, fmt.Errorf("upload: %w", err)
	}
	// A manifest goes last, so that a folder that can be found is complete.
	for _, manifests := range []bool{false, true} {
		for _, p := range parts {
			if (p.path == "") != manifests {
				continue
			}
			if err := u.putOne(ctx, p); err != nil {
				return nil, fmt.Errorf("upload %s for %s: %w", cmp.Or(p.path, "a folder"), p.key, err)
			}
		}
	}
	return refs, nil
}

// plan adds the objects of the file or folder of a key to parts.
func (u *Uploader) plan(ctx context.Context, key, path string, parts map[string]part) (events.Reference, error) {
	info, err := os.Stat(path)
	if err != nil {
		return events.Reference{}, err
	}
	add := func(p part) events.Reference {
		if _, ok := parts[p.sum]; !ok {
			p.key = key
			parts[p.sum] = p
		}
		return events.Reference{Store: u.store.ID(), Key: Prefix + p.sum, MediaType: p.mediaType, Size: p.size, SHA256: p.sum}
	}
	if !info.IsDir() && len(u.beside[key]) > 0 {
		m, err := manifest.OfFiles(ctx, filepath.Dir(path), append([]string{filepath.Base(path)}, u.beside[key]...), u.digest)
		if err != nil {
			return events.Reference{}, err
		}
		ref, err := addFolder(m, filepath.Dir(path), add)
		ref.Name = events.Cut(filepath.Base(path), events.MaxNameBytes)
		return ref, err
	}
	if !info.IsDir() {
		size, sum, err := u.digest(ctx, path)
		if err != nil {
			return events.Reference{}, err
		}
		ref := add(part{sum: sum, mediaType: mediaFile, size: size, path: path})
		ref.Name = events.Cut(filepath.Base(path), events.MaxNameBytes)
		return ref, nil
	}
	m, err := manifest.Of(ctx, path, u.digest)
	if err != nil {
		return events.Reference{}, err
	}
	return addFolder(m, path, add)
}

// addFolder adds the files of a folder and its manifest, to which it refers.
func addFolder(m manifest.Manifest, dir string, add func(part) events.Reference) (events.Reference, error) {
	text, err := m.Encode()
	if err != nil {
		return events.Reference{}, err
	}
	for _, f := range m.Files {
		add(part{sum: f.SHA256, mediaType: mediaFile, size: f.Size, path: filepath.Join(dir, filepath.FromSlash(f.Path))})
	}
	sum := sha256.Sum256(text)
	return add(part{sum: hex.EncodeToString(sum[:]), mediaType: manifest.MediaType, size: int64(len(text)), text: text}), nil
}

// mediaFile is the media type of a file that a person uploads: its name tells
// more.
const mediaFile = "application/octet-stream"

// reserve reserves digests, and renews the reservations until Close.
func (u *Uploader) reserve(ctx context.Context, digests map[string]bool) error {
	if err := reserve(ctx, u.store, digests); err != nil {
		return err
	}
	renewing, stop := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	if !u.start(digests, stop, done) {
		stop() // an earlier upload has started it
		return nil
	}
	go u.renew(renewing, done) // ends at Close, which waits for it
	return nil
}

// start notes digests and reports whether their renewal is to be started.
func (u *Uploader) start(digests map[string]bool, stop context.CancelFunc, done chan struct{}) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	maps.Copy(u.reserved, digests)
	if u.stop != nil {
		return false
	}
	u.stop, u.done = stop, done
	return true
}

// renew renews the reservations. A renewal that fails is tried again long before the
// reservation ends.
func (u *Uploader) renew(ctx context.Context, done chan struct{}) {
	defer close(done)
	tick := time.NewTicker(renewal)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		u.mu.Lock()
		digests := maps.Clone(u.reserved)
		u.mu.Unlock()
		_, _ = post(ctx, u.store, reservations, digests) // see above
	}
}

// Close ends the renewal of the reservations. They stay for a while: see the comment
// of the package.
func (u *Uploader) Close() {
	u.mu.Lock()
	stop, done := u.stop, u.done
	u.mu.Unlock()
	if stop != nil {
		stop()
		<-done
	}
}

// putOne stores one object, unless it is there. An object that is damaged is
// replaced.
func (u *Uploader) putOne(ctx context.Context, p part) error {
	ref := events.Reference{Store: u.store.ID(), Key: Prefix + p.sum, MediaType: p.mediaType, Size: p.size, SHA256: p.sum}
	err := u.verify(ctx, ref)
	if _, corrupt := errors.AsType[*artifact.CorruptError](err); corrupt {
		err = ignoreMissing(u.store.Delete(ctx, ref.Key))
		if err == nil {
			err = artifact.ErrNotFound
		}
	}
	if !errors.Is(err, artifact.ErrNotFound) {
		return err
	}
	var r io.Reader = bytes.NewReader(p.text)
	if p.path != "" {
		f, err := manifest.OpenRegular(p.path)
		if err != nil {
			return err
		}
		defer f.Close()
		r = manifest.Reader(ctx, p.path, f)
	}
	// If the file changes meanwhile, the object would be damaged for everyone.
	if _, err := u.store.Put(ctx, ref.Key, p.mediaType, &unchangedReader{r: r, part: p, hash: sha256.New()}); err != nil {
		return err
	}
	return u.setVerified(ctx, ref)
}

// unchangedReader fails at the end of a file that is not what it was when its
// digest was computed.
type unchangedReader struct {
	r    io.Reader
	part part
	hash hash.Hash
}

func (u *unchangedReader) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	u.hash.Write(p[:n])
	if errors.Is(err, io.EOF) && hex.EncodeToString(u.hash.Sum(nil)) != u.part.sum {
		err = fmt.Errorf("%s changed while it was uploaded", u.part.path)
	}
	return n, err
}

// verify returns nil if the store has the content. A store of files is read. A
// store elsewhere is read once for each object: reading it again would cost as
// much as sending it again, and whoever fetches the content compares it.
func (u *Uploader) verify(ctx context.Context, ref events.Reference) error {
	o, err := u.store.Stat(ctx, ref.Key)
	if err != nil {
		return err
	}
	if o.Size != ref.Size {
		return &artifact.CorruptError{Key: ref.Key, WantSize: ref.Size, HaveSize: o.Size, WantSHA256: ref.SHA256}
	}
	if _, local := u.store.Locate(ref); !local {
		if _, err := u.store.Stat(ctx, ref.Key+verified); !errors.Is(err, artifact.ErrNotFound) {
			return err
		}
	}
	r, err := u.store.Get(ctx, ref)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return err
	}
	return u.setVerified(ctx, ref)
}

// setVerified says that an object was verified and is whole.
func (u *Uploader) setVerified(ctx context.Context, ref events.Reference) error {
	if _, local := u.store.Locate(ref); local {
		return nil
	}
	_, err := u.store.Put(ctx, ref.Key+verified, "text/plain", strings.NewReader("verified\n"))
	return err
}
