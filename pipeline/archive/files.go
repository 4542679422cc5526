package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// mediaType is the media type of an archive.
const mediaType = "application/jsonl"

// ErrDamaged means that an archive is not what was written.
var ErrDamaged = errors.New("the archive is damaged")

// Store is the part of [artifact.Store] that archives need.
type Store interface {
	ID() string
	Put(ctx context.Context, key, mediaType string, r io.Reader) (events.Reference, error)
	Get(ctx context.Context, ref events.Reference) (io.ReadCloser, error)
	List(ctx context.Context, prefix string) iter.Seq2[artifact.Object, error]
}

// Files are the archives in an artifact store.
type Files struct {
	store Store
}

// NewFiles returns the archives in a store.
func NewFiles(store Store) *Files { return &Files{store: store} }

// Runs returns the ids of the archived runs, sorted.
func (f *Files) Runs(ctx context.Context) ([]string, error) {
	byRun, err := f.listByRun(ctx)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(byRun))
	for id := range byRun {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// listByRun lists the archives of each run.
func (f *Files) listByRun(ctx context.Context) (map[string][]artifact.Object, error) {
	byRun := map[string][]artifact.Object{}
	for o, err := range f.store.List(ctx, Prefix) {
		if err != nil {
			return nil, fmt.Errorf("list archived runs: %w", err)
		}
		if run, _, ok := parseKey(o.Key); ok {
			byRun[run] = append(byRun[run], o)
		}
	}
	return byRun, nil
}

// Read reads the archived facts of a run, in the order of the stream. A run that
// was never archived has none.
func (f *Files) Read(ctx context.Context, run string) ([]history.StoredFact, error) {
	if !events.ValidToken(run) {
		return nil, fmt.Errorf("read the archive of run %q: no run id", run)
	}
	var archives []artifact.Object
	for o, err := range f.store.List(ctx, Prefix+run+"/") {
		if err != nil {
			return nil, fmt.Errorf("read the archive of run %s: %w", run, err)
		}
		archives = append(archives, o)
	}
	return f.readAll(ctx, run, archives)
}

// readAll reads several archives of a run and merges their facts.
func (f *Files) readAll(ctx context.Context, run string, archives []artifact.Object) ([]history.StoredFact, error) {
	var all []history.StoredFact
	for _, o := range archives {
		facts, err := f.readOne(ctx, run, o)
		if err == nil {
			all, err = merge(all, facts)
		}
		if err != nil {
			return nil, fmt.Errorf("archive %s: %w", o.Key, err)
		}
	}
	return all, nil
}

// readOne reads an archive and compares it with the digest in its key. If the
// archive is damaged, it returns [ErrDamaged] and not the error in a line that
// the damage causes.
func (f *Files) readOne(ctx context.Context, run string, o artifact.Object) (facts []history.StoredFact, err error) {
	_, sum, ok := parseKey(o.Key)
	if !ok {
		return nil, fmt.Errorf("%w: its name is no digest; an archive is called %s<run>/<SHA-256>%s", ErrDamaged, Prefix, extension)
	}
	r, err := f.store.Get(ctx, events.Reference{Store: f.store.ID(), Key: o.Key, MediaType: mediaType, Size: o.Size, SHA256: sum})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	facts, err = decode(run, r)
	if err == nil {
		return facts, nil
	}
	_, drainErr := io.Copy(io.Discard, r)
	for _, e := range []error{drainErr, err} {
		if corrupt, ok := errors.AsType[*artifact.CorruptError](e); ok {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, corrupt)
		}
	}
	if drainErr == nil { // the digest is right, so it was written like this
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil, err
}

// reference returns the reference that the archive of an encoded run has.
func (f *Files) reference(run string, text []byte) events.Reference {
	digest := sha256.Sum256(text)
	sum := hex.EncodeToString(digest[:])
	return events.Reference{
		Store:     f.store.ID(),
		Key:       key(run, sum),
		MediaType: mediaType,
		Size:      int64(len(text)),
		SHA256:    sum,
	}
}

// write writes the archive of a run, reads it back and compares the facts. An
// archive with the same facts that exists already is compared too.
func (f *Files) write(ctx context.Context, run string, ref events.Reference, text []byte, facts []history.StoredFact) error {
	if _, err := f.store.Put(ctx, ref.Key, mediaType, bytes.NewReader(text)); err != nil {
		return err
	}
	stored, err := f.readOne(ctx, run, artifact.Object{Key: ref.Key, Size: ref.Size})
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	return compare(facts, stored)
}

// compare compares the facts of an archive with those that it should have.
func compare(want, stored []history.StoredFact) error {
	if len(stored) != len(want) {
		return fmt.Errorf("read back: %d facts, want %d", len(stored), len(want))
	}
	for i, w := range want {
		s := stored[i]
		if s.Sequence != w.Sequence || s.Subject != w.Subject || s.ID != w.ID || !s.Time.Equal(w.Time) {
			return fmt.Errorf("read back: %s at sequence %d, want %s at %d", s.Subject, s.Sequence, w.Subject, w.Sequence)
		}
	}
	return nil
}
