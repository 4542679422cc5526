package archive

import (
	"cmp"
	"context"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// factReader reads the facts of a run from the stream.
type factReader interface {
	Facts(ctx context.Context, run string) ([]codec.Message, error)
}

// Reader reads runs from the stream and the archive.
type Reader struct {
	stream factReader
	files  *Files
}

// NewReader returns a reader.
func NewReader(c *conn.Conn, store Store) *Reader {
	return &Reader{stream: history.New(c), files: NewFiles(store)}
}

// Run reads and folds the facts of a run. It returns the zero run if the run
// does not exist. Together with a [*history.UnreadableError] it returns the
// facts that can be read.
func (r *Reader) Run(ctx context.Context, run string) (events.Run, error) {
	facts, err := r.Facts(ctx, run)
	if err != nil {
		return events.Run{}, err
	}
	return history.Fold(facts), history.Unreadable(facts)
}

// Facts reads all facts of a run, in the order of the stream. A run that does
// not exist has none. The archive is read only if the stream does not have the
// whole run.
func (r *Reader) Facts(ctx context.Context, run string) ([]codec.Message, error) {
	facts, err := r.stream.Facts(ctx, run)
	if err != nil || Whole(history.Fold(facts)) {
		return facts, err
	}
	// An archive is complete before the first fact is removed from the stream.
	// So a fact that the stream does not have now is in the archive now.
	archived, err := r.files.Read(ctx, run)
	if err != nil {
		return nil, err
	}
	inStream := map[string]bool{}
	for _, f := range facts {
		inStream[f.Subject] = true
	}
	for _, a := range archived {
		if !inStream[a.Subject] {
			facts = append(facts, a.Message)
		}
	}
	slices.SortFunc(facts, func(a, b codec.Message) int { return cmp.Compare(a.Sequence, b.Sequence) })
	return facts, nil
}

// Whole reports whether no fact can have been removed from a run: it was
// accepted, and for each completed phase it has the job and the attempt that
// completed it.
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
