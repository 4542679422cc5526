package artifact

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
)

// idKey is the object in which a store keeps its own id. No valid key is
// equal to it.
const idKey = ".tunebus-store"

// Store puts and gets artifacts. It may be used concurrently.
type Store struct {
	backend Backend
	id      string
}

// New makes a store on a backend and gives it an id if it has none yet. The
// store owns the backend, also where New answers an error.
func New(ctx context.Context, b Backend) (*Store, error) {
	id, err := identify(ctx, b)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("identify artifact store: %w", err), b.Close())
	}
	return &Store{backend: b, id: id}, nil
}

// ID is the id that the store carries, wherever it is opened from.
func (s *Store) ID() string { return s.id }

// Close frees what the store holds; the artifacts stay.
func (s *Store) Close() error { return s.backend.Close() }

// Sweep removes what killed writers left behind, where the store can tell.
func (s *Store) Sweep() {
	if b, ok := s.backend.(Sweeper); ok {
		b.Sweep()
	}
}

// identify reads the id object, and makes it where there is none. Of several
// makers one wins, and all of them read what the winner wrote, whatever they
// were told: S3 answers makers that meet with more than one code.
func identify(ctx context.Context, b Backend) (string, error) {
	if b, ok := b.(Identified); ok {
		return b.StoreID(ctx)
	}
	id, err := readID(ctx, b)
	if !errors.Is(err, ErrNotFound) {
		return id, err
	}
	fresh := make([]byte, 16)
	if _, err := rand.Read(fresh); err != nil {
		return "", err
	}
	content := hex.EncodeToString(fresh) + "\n"
	putErr := b.Put(ctx, idKey, "text/plain", strings.NewReader(content))
	id, err = readID(ctx, b)
	if errors.Is(err, ErrNotFound) && putErr != nil {
		return "", putErr
	}
	return id, err
}

func readID(ctx context.Context, b Backend) (string, error) {
	r, err := b.Get(ctx, idKey)
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(io.LimitReader(r, 100))
	if err := errors.Join(err, r.Close()); err != nil {
		return "", fmt.Errorf("read %s: %w", idKey, err)
	}
	id := string(bytes.TrimSpace(content))
	if raw, err := hex.DecodeString(id); err != nil || len(raw) != 16 {
		return "", fmt.Errorf("read %s: %q is no store id", idKey, id)
	}
	return id, nil
}

// Put stores what r has and answers the reference to it. The content is read
// back and compared before Put returns. Putting the same content under its key
// again is no error; other content is [ErrExists].
func (s *Store) Put(ctx context.Context, key, mediaType string, r io.Reader) (events.Reference, error) {
	ref, err := s.put(ctx, key, mediaType, r)
	if err != nil {
		return events.Reference{}, fmt.Errorf("put artifact %q: %w", key, err)
	}
	return ref, nil
}

func (s *Store) put(ctx context.Context, key, mediaType string, r io.Reader) (events.Reference, error) {
	if err := checkKey(key); err != nil {
		return events.Reference{}, err
	}
	m := newMeter(ctx, failpoint.Reader(failpoint.ArtifactUnderWay, r))
	putErr := s.backend.Put(ctx, key, mediaType, m)
	existed := errors.Is(putErr, ErrExists)
	if putErr != nil && !existed {
		if m.err == nil { // else it was the reader that failed
			putErr = unavailable(ctx, putErr)
		}
		return events.Reference{}, putErr
	}
	if existed {
		// The backend may not have read all; the rest is needed to compare.
		if _, err := io.Copy(io.Discard, m); err != nil {
			return events.Reference{}, err
		}
	}
	ref := events.Reference{Store: s.id, Key: key, MediaType: mediaType, Size: m.size, SHA256: m.sum()}
	failpoint.Here(failpoint.ArtifactUnverified)
	err := s.verify(ctx, ref)
	var corrupt *CorruptError
	switch {
	case existed && errors.As(err, &corrupt):
		return events.Reference{}, ErrExists
	case err != nil && !existed:
		// Nobody has the reference yet. Left behind, the object would refuse
		// the next try; so it goes, even when ctx ended during the check.
		err = errors.Join(err, s.backend.Delete(context.WithoutCancel(ctx), key))
	}
	if err != nil {
		return events.Reference{}, err
	}
	return ref, nil
}

func (s *Store) verify(ctx context.Context, ref events.Reference) error {
	r, err := s.backend.Get(ctx, ref.Key)
	if err != nil {
		return unavailable(ctx, err)
	}
	v := newVerifier(ctx, ref, r)
	_, err = io.Copy(io.Discard, v)
	return errors.Join(err, v.Close())
}

// PutFile stores a file. See [Store.Put].
func (s *Store) PutFile(ctx context.Context, key, mediaType, path string) (_ events.Reference, err error) {
	f, err := os.Open(path)
	if err != nil {
		return events.Reference{}, fmt.Errorf("put artifact %q: %w", key, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return s.Put(ctx, key, mediaType, f)
}

// Get reads an artifact. A Read that would answer io.EOF answers a
// [CorruptError] instead if the artifact is not what ref says; who stops
// reading before that has verified nothing.
func (s *Store) Get(ctx context.Context, ref events.Reference) (io.ReadCloser, error) {
	r, err := s.open(ctx, ref)
	if err != nil {
		return nil, fmt.Errorf("get artifact %q: %w", ref.Key, err)
	}
	return r, nil
}

func (s *Store) open(ctx context.Context, ref events.Reference) (io.ReadCloser, error) {
	if err := s.checkReference(ref); err != nil {
		return nil, err
	}
	r, err := s.backend.Get(ctx, ref.Key)
	if err != nil {
		return nil, unavailable(ctx, err)
	}
	return newVerifier(ctx, ref, r), nil
}

func (s *Store) checkReference(ref events.Reference) error {
	if ref.Store != s.id {
		return &WrongStoreError{Want: ref.Store, Have: s.id}
	}
	if ref.Size < 0 {
		return fmt.Errorf("reference has size %d", ref.Size)
	}
	return checkKey(ref.Key)
}

// Delete removes an artifact; one that is not there is [ErrNotFound].
func (s *Store) Delete(ctx context.Context, key string) error {
	err := checkKey(key)
	if err == nil {
		err = s.backend.Delete(ctx, key)
	}
	if err != nil {
		return fmt.Errorf("delete artifact %q: %w", key, err)
	}
	return nil
}

// List describes the artifacts whose key begins with prefix, in no particular
// order. It ends after the first error.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		for o, err := range s.backend.List(ctx, prefix) {
			if err != nil {
				yield(Object{}, fmt.Errorf("list artifacts %q: %w", prefix, err))
				return
			}
			// Not an artifact: the id, or what the backend keeps for itself.
			if checkKey(o.Key) != nil {
				continue
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}

// Leftovers lists what writers that died left behind and nobody has touched
// since before, where the backend can tell. It ends after the first error.
func (s *Store) Leftovers(ctx context.Context, before time.Time) iter.Seq2[Object, error] {
	b, ok := s.backend.(Collectable)
	if !ok {
		return func(func(Object, error) bool) {}
	}
	return b.Leftovers(ctx, before)
}

// RemoveLeftover removes one of [Store.Leftovers].
func (s *Store) RemoveLeftover(ctx context.Context, o Object) error {
	b, ok := s.backend.(Collectable)
	if !ok {
		return nil
	}
	if err := b.RemoveLeftover(ctx, o.Key); err != nil {
		return fmt.Errorf("remove leftover %q: %w", o.Key, err)
	}
	return nil
}
