package archive

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

const (
	// Prefix is what the key of every archive begins with.
	Prefix    = "archive/"
	ending    = ".jsonl"
	mediaType = "application/jsonl"
)

// ErrDamaged says that an archive is not what was written.
var ErrDamaged = errors.New("the archive is damaged")

// errTwice says that two runs have one id.
var errTwice = errors.New("the id of an archived run was used again")

// Reader reads runs wherever they are: the stream first, then the archive.
type Reader struct {
	Bus   *conn.Conn
	Store *artifact.Store
}

// Facts reads every fact of a run, in the stream's order. A run that nobody
// knows has none.
func (r Reader) Facts(ctx context.Context, run string) ([]codec.Message, error) {
	return Facts(ctx, r.Bus, r.Store, run)
}

// Run reads and folds the facts of a run. Beside a [*history.UnreadableError] it
// answers with what can be read.
func (r Reader) Run(ctx context.Context, run string) (events.Run, error) {
	facts, err := r.Facts(ctx, run)
	if err != nil {
		return events.Run{}, err
	}
	return history.Fold(facts), history.Unreadable(facts)
}

// Facts reads every fact of a run, in the stream's order: from the stream,
// and from the archive where the stream does not hold the run whole. A run
// that nobody knows has none.
func Facts(ctx context.Context, b *conn.Conn, store *artifact.Store, run string) ([]codec.Message, error) {
	facts, err := history.New(b).Facts(ctx, run)
	if err != nil || Whole(history.Fold(facts)) {
		return facts, err
	}
	// An archive is written before the first fact leaves the stream, so that
	// what is missing from the stream by now is in the archive by now.
	kept, err := Read(ctx, store, run)
	if err != nil {
		return nil, err
	}
	there := map[string]bool{}
	for _, f := range facts {
		there[f.Subject] = true
	}
	for _, k := range kept {
		if !there[k.Subject] {
			facts = append(facts, k.Message)
		}
	}
	slices.SortFunc(facts, func(a, b codec.Message) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return facts, nil
}

// Whole reports whether nothing can have been taken away from a run: it was
// accepted, and of each phase that was completed the job and the attempt that
// completed it are known.
func Whole(run events.Run) bool {
	if run.Accepted == nil {
		return false
	}
	for _, p := range run.Phases {
		if p.Completed == nil {
			continue
		}
		started := slices.ContainsFunc(p.Attempts, func(a events.Attempt) bool {
			return a.Number == p.Completed.Attempt && a.Started != nil
		})
		if p.Requested == nil || !started {
			return false
		}
	}
	return true
}

// Read reads what is archived of a run, in the stream's order. A run that was
// never archived has nothing.
func Read(ctx context.Context, store *artifact.Store, run string) ([]history.StoredFact, error) {
	if !events.ValidToken(run) {
		return nil, fmt.Errorf("read the archive of run %q: no run id", run)
	}
	var keys []artifact.Object
	for o, err := range store.List(ctx, Prefix+run+"/") {
		if err != nil {
			return nil, fmt.Errorf("read the archive of run %s: %w", run, err)
		}
		keys = append(keys, o)
	}
	return readAll(ctx, store, run, keys)
}

// readAll reads the archives of a run as one.
func readAll(ctx context.Context, store *artifact.Store, run string, keys []artifact.Object) ([]history.StoredFact, error) {
	var all []history.StoredFact
	for _, o := range keys {
		facts, err := readOne(ctx, store, run, o)
		if err == nil {
			all, err = merge(all, facts)
		}
		if err != nil {
			return nil, fmt.Errorf("archive %s: %w", o.Key, err)
		}
	}
	return all, nil
}

// readOne reads one archive, whose name is its digest.
func readOne(ctx context.Context, store *artifact.Store, run string, o artifact.Object) (facts []history.StoredFact, err error) {
	_, sum, ok := split(o.Key)
	if !ok {
		return nil, fmt.Errorf("%w: its name is no digest; an archive is called %s<run>/<SHA-256>%s", ErrDamaged, Prefix, ending)
	}
	r, err := store.Get(ctx, events.Reference{Store: store.ID(), Key: o.Key, MediaType: mediaType, Size: o.Size, SHA256: sum})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	facts, err = decode(run, r)
	if err == nil {
		return facts, nil
	}
	// What is wrong with the whole is reported before what that did to a line.
	_, rest := io.Copy(io.Discard, r)
	var corrupt *artifact.CorruptError
	switch {
	case errors.As(rest, &corrupt), errors.As(err, &corrupt):
		return nil, fmt.Errorf("%w: %w", ErrDamaged, corrupt)
	case rest == nil: // it was written like this
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil, err
}

func key(run, sum string) string { return Prefix + run + "/" + sum + ending }

// split takes the key of an archive apart.
func split(key string) (run, sum string, ok bool) {
	rest, ok := strings.CutPrefix(key, Prefix)
	if !ok {
		return "", "", false
	}
	run, name, _ := strings.Cut(rest, "/")
	sum, ok = strings.CutSuffix(name, ending)
	raw, err := hex.DecodeString(sum)
	return run, sum, ok && err == nil && len(raw) == 32 && events.ValidToken(run)
}

// merge adds facts to others, in the stream's order. Two facts on one subject
// have to be the same.
func merge(all, more []history.StoredFact) ([]history.StoredFact, error) {
	at := map[string]int{}
	for i, f := range all {
		at[f.Subject] = i
	}
	for _, f := range more {
		i, again := at[f.Subject]
		if !again {
			all = append(all, f)
			continue
		}
		if other := all[i]; other.ID != f.ID || other.Sequence != f.Sequence {
			return nil, fmt.Errorf("%w: %s was stored as %s at sequence %d, and as %s at %d", errTwice, f.Subject, other.ID, other.Sequence, f.ID, f.Sequence)
		}
	}
	slices.SortFunc(all, func(a, b history.StoredFact) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return all, nil
}

// Runs lists the archived runs, sorted.
func Runs(ctx context.Context, store *artifact.Store) ([]string, error) {
	index, err := list(ctx, store)
	if err != nil {
		return nil, err
	}
	ids := make([]string, 0, len(index))
	for id := range index {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids, nil
}

// list finds the archives of every run.
func list(ctx context.Context, store *artifact.Store) (map[string][]artifact.Object, error) {
	index := map[string][]artifact.Object{}
	for o, err := range store.List(ctx, Prefix) {
		if err != nil {
			return nil, fmt.Errorf("list archived runs: %w", err)
		}
		if run, _, ok := split(o.Key); ok {
			index[run] = append(index[run], o)
		}
	}
	return index, nil
}
