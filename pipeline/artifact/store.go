package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// Store reads and writes artifacts. It may be used concurrently.
type Store struct {
	backend Backend
	id      string
	// address names the store for people.
	address string
}

// New returns a store on a backend. A store that has no id yet gets one. The
// store owns the backend: New closes the backend if it returns an error.
func New(ctx context.Context, b Backend) (*Store, error) {
	id, err := identify(ctx, b)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("identify artifact store: %w", err), b.Close())
	}
	return &Store{backend: b, id: id, address: "the artifact store"}, nil
}

// NewNamed is [New] for a store with an address that people know, such as
// jetstream://bucket. It must hold no credential.
func NewNamed(ctx context.Context, address string, b Backend) (*Store, error) {
	s, err := New(ctx, b)
	if err == nil {
		s.address = address
	}
	return s, err
}

// doing names what a call does to a key, so that a store that hangs is named.
func (s *Store) doing(ctx context.Context, what, key string) (end func()) {
	return progress.Doing(ctx, what+" "+key+" in "+s.address)
}

// ID returns the id of the store. It is the same for all processes, whichever
// address they open the store by.
func (s *Store) ID() string { return s.id }

// Close releases the resources of the store; the artifacts remain.
func (s *Store) Close() error { return s.backend.Close() }

// Put stores the content of r and returns the reference to it. Before Put
// returns, it reads the content back and compares it, unless the server of a bucket
// tells the SHA-256 of what it got. If the key exists with
// the same content, Put succeeds; with other content, the error is [ErrExists].
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
	defer s.doing(ctx, "storing", key)()
	server, attests := s.backend.(attester)
	parts := newPartDigests()
	if attests {
		r = io.TeeReader(r, parts)
	}
	content := newDigestReader(ctx, failpoint.Reader(failpoint.ArtifactPartlySent, r))
	putErr := s.backend.Put(ctx, key, mediaType, content)
	existed := errors.Is(putErr, ErrExists)
	if putErr != nil && !existed {
		if content.err == nil { // otherwise r failed, not the backend
			putErr = unavailable(ctx, putErr)
		}
		return events.Reference{}, putErr
	}
	if existed {
		// The backend may have read r only in part. The digest needs all of it.
		if _, err := io.Copy(io.Discard, content); err != nil {
			return events.Reference{}, err
		}
	}
	ref := events.Reference{Store: s.id, Key: key, MediaType: mediaType, Size: content.size, SHA256: content.sum()}
	failpoint.Here(failpoint.ArtifactUnverified)
	if attests && !existed && server.attests(ctx, ref, parts) {
		return ref, nil
	}
	err := s.verify(ctx, ref)
	_, corrupt := errors.AsType[*CorruptError](err)
	switch {
	case existed && corrupt:
		return events.Reference{}, ErrExists
	case err != nil && !existed:
		// No event has the reference yet. If the object remained, the next
		// try would be refused. So it is deleted, even if ctx was cancelled
		// during the verification.
		err = errors.Join(err, s.backend.Delete(context.WithoutCancel(ctx), key))
	}
	if err != nil {
		return events.Reference{}, err
	}
	return ref, nil
}

// verify reads an object to its end and compares it with ref.
func (s *Store) verify(ctx context.Context, ref events.Reference) error {
	defer s.doing(ctx, "reading back", ref.Key)()
	r, err := s.backend.Get(ctx, ref.Key)
	if err != nil {
		return unavailable(ctx, err)
	}
	v := Verify(ctx, ref, r)
	_, err = io.Copy(io.Discard, v)
	return errors.Join(err, v.Close())
}

// Get opens an artifact. The reader returns a [CorruptError] in place of
// io.EOF if the content differs from ref. A caller that does not read to the
// end has verified nothing.
func (s *Store) Get(ctx context.Context, ref events.Reference) (io.ReadCloser, error) {
	if err := s.Check(ref); err != nil {
		return nil, fmt.Errorf("get artifact %q: %w", ref.Key, err)
	}
	done := s.doing(ctx, "reading", ref.Key)
	r, err := s.backend.Get(ctx, ref.Key)
	if err != nil {
		done()
		return nil, fmt.Errorf("get artifact %q: %w", ref.Key, unavailable(ctx, err))
	}
	return Verify(ctx, ref, namedReader{r, done}), nil
}

// namedReader is the content of an object, whose reading is named until it is closed.
type namedReader struct {
	io.ReadCloser
	done func()
}

func (r namedReader) Close() error {
	r.done()
	return r.ReadCloser.Close()
}

// Check returns an error if ref can not be a reference into this store: a
// [WrongStoreError] if it belongs to another one. It does not read anything.
func (s *Store) Check(ref events.Reference) error {
	if ref.Store != s.id {
		return &WrongStoreError{Want: ref.Store, Have: s.id}
	}
	if ref.Size < 0 {
		return fmt.Errorf("reference has size %d", ref.Size)
	}
	return checkKey(ref.Key)
}

// Locate returns the path of the artifact's file if the store keeps its objects
// as files of this machine. The file must not be changed, and nobody has
// verified it.
func (s *Store) Locate(ref events.Reference) (path string, ok bool) {
	local, ok := s.backend.(Local)
	if !ok || s.Check(ref) != nil {
		return "", false
	}
	return local.Path(ref.Key), true
}

// Stat describes an artifact without reading it. The error is [ErrNotFound] if it
// does not exist.
func (s *Store) Stat(ctx context.Context, key string) (Object, error) {
	err := checkKey(key)
	var o Object
	if err == nil {
		defer s.doing(ctx, "looking at", key)()
		o, err = s.backend.Attributes(ctx, key)
		err = unavailable(ctx, err)
	}
	if err != nil {
		return Object{}, fmt.Errorf("look at artifact %q: %w", key, err)
	}
	return o, nil
}

// Delete removes an artifact. The error is [ErrNotFound] if it does not exist.
func (s *Store) Delete(ctx context.Context, key string) error {
	err := checkKey(key)
	if err == nil {
		defer s.doing(ctx, "deleting", key)()
		err = s.backend.Delete(ctx, key)
	}
	if err != nil {
		return fmt.Errorf("delete artifact %q: %w", key, err)
	}
	return nil
}

// List iterates over the artifacts whose key begins with prefix, in no
// particular order. It stops after the first error.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		defer s.doing(ctx, "listing", prefix)()
		for o, err := range s.backend.List(ctx, prefix) {
			if err != nil {
				yield(Object{}, fmt.Errorf("list artifacts %q: %w", prefix, err))
				return
			}
			// Skip objects that are no artifacts: the id of the store, and
			// those that the backend has for its own use.
			if checkKey(o.Key) != nil {
				continue
			}
			if !yield(o, nil) {
				return
			}
		}
	}
}
