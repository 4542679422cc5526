package content

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
)

const (
	// Prefix begins the keys of all content.
	Prefix = "content/"

	reservations = "reservations/"
	condemned    = "condemned/"
	verified     = ".verified"
	mediaJSON    = "application/json"
)

const (
	// Lifetime is how long a reservation is valid, and for how long an object counts as
	// new.
	Lifetime = time.Hour
	// renewal is how often a reservation is renewed.
	renewal = 15 * time.Minute
	// condemnation is how long a collector has for what it condemned.
	condemnation = time.Minute
	// patience is for how long an uploader has to see the same condemnation before
	// it takes its collector for dead. It is longer than condemnation.
	patience = 90 * time.Second
)

// Store is the part of [artifact.Store] that this package needs.
type Store interface {
	ID() string
	Put(ctx context.Context, key, mediaType string, r io.Reader) (events.Reference, error)
	Get(ctx context.Context, ref events.Reference) (io.ReadCloser, error)
	Check(ref events.Reference) error
	Locate(ref events.Reference) (path string, ok bool)
	Stat(ctx context.Context, key string) (artifact.Object, error)
	List(ctx context.Context, prefix string) iter.Seq2[artifact.Object, error]
	Delete(ctx context.Context, key string) error
}

// Digest returns the digest of the content that a key belongs to.
func Digest(key string) (sum string, ok bool) {
	sum, ok = strings.CutPrefix(key, Prefix)
	sum = strings.TrimSuffix(sum, verified)
	return sum, ok && manifest.IsDigest(sum)
}

// notice is the content of a reservation or a condemnation.
type notice struct {
	Digests []string `json:"digests"`
}

// maxNotice limits a notice, which is read as a whole: more digests than a
// manifest can have.
const maxNotice = 64 << 20

// post stores a notice under a new name and returns its key.
func post(ctx context.Context, s Store, prefix string, digests map[string]bool) (string, error) {
	text, err := json.Marshal(notice{Digests: slices.Sorted(maps.Keys(digests))})
	if err != nil {
		return "", err
	}
	key := prefix + rand.Text()
	_, err = s.Put(ctx, key, mediaJSON, bytes.NewReader(text))
	return key, err
}

// noticed returns the digests of the notices that are not older than a time, with
// the keys of the notices. A notice that is removed meanwhile says nothing.
func noticed(ctx context.Context, s Store, prefix string, since time.Time) (map[string]string, error) {
	found := map[string]string{}
	for o, err := range s.List(ctx, prefix) {
		if err != nil {
			return nil, err
		}
		if o.ModTime.Before(since) {
			continue
		}
		n, err := readNotice(ctx, s, o)
		if errors.Is(err, artifact.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", o.Key, err)
		}
		for _, sum := range n.Digests {
			found[sum] = o.Key
		}
	}
	return found, nil
}

func readNotice(ctx context.Context, s Store, o artifact.Object) (n notice, err error) {
	r, err := s.Get(ctx, events.Reference{Store: s.ID(), Key: o.Key, Size: min(o.Size, maxNotice)})
	if err != nil {
		return n, err
	}
	// Its digest is not known, and it says something only as a whole.
	text := make([]byte, min(o.Size, maxNotice))
	_, err = io.ReadFull(r, text)
	if err := errors.Join(err, r.Close()); err != nil {
		return n, err
	}
	return n, json.Unmarshal(text, &n)
}

// reserve reserves digests, and returns when none of them is condemned any more.
// Objects that exist then stay for at least the time of a reservation.
func reserve(ctx context.Context, s Store, digests map[string]bool) error {
	if len(digests) == 0 {
		return nil
	}
	if _, err := post(ctx, s, reservations, digests); err != nil {
		return err
	}
	seen := map[string]time.Time{} // when a condemnation was seen first
	for {
		found, err := noticed(ctx, s, condemned, time.Time{})
		if err != nil {
			return err
		}
		waits := false
		for sum, key := range found {
			if !digests[sum] {
				continue
			}
			if seen[key].IsZero() {
				seen[key] = time.Now()
			}
			waits = waits || time.Since(seen[key]) < patience
		}
		if !waits {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Reserver reserves inputs of runs.
type Reserver struct{ Store Store }

// Reserve reserves the content that references name, with the files of folders, and
// checks that all of it exists. Other references are only looked for. The error
// is [artifact.ErrNotFound] if something is not there.
func (r Reserver) Reserve(ctx context.Context, refs ...events.Reference) error {
	s := r.Store
	keys, digests := map[string]bool{}, map[string]bool{}
	for _, ref := range refs {
		keys[ref.Key] = true
		if !manifest.Is(ref) {
			continue
		}
		m, err := readManifest(ctx, s, ref)
		if err != nil {
			return err
		}
		for _, f := range m.Files {
			keys[m.Reference(ref, f).Key] = true
		}
	}
	for key := range keys {
		if sum, ok := Digest(key); ok {
			digests[sum] = true
		}
	}
	if err := reserve(ctx, s, digests); err != nil {
		return err
	}
	for key := range keys {
		if _, err := s.Stat(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

func readManifest(ctx context.Context, s Store, ref events.Reference) (manifest.Manifest, error) {
	r, err := s.Get(ctx, ref)
	if err != nil {
		return manifest.Manifest{}, err
	}
	m, err := manifest.Read(r)
	return m, errors.Join(err, r.Close())
}
