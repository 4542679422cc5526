package runlist

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/atomicfile"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/filelock"
)

// The names of the files.
const (
	FileName     = "runs.json"
	TextFileName = "runs.txt"
)

// List is the list of all runs in one folder.
type List struct {
	dir string
	mu  sync.Mutex // an update reads the list and replaces it
}

// New returns the list in dir. The first update makes the folder.
func New(dir string) *List { return &List{dir: dir} }

// Update adds entries to the list, or replaces the entries of their runs, and
// writes both files. An entry whose status is [events.StatusDeleted] removes that of
// its run; where there is no list, it makes none.
func (l *List) Update(ctx context.Context, entries ...Entry) (err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	onlyRemoves := !slices.ContainsFunc(entries, func(e Entry) bool { return e.Status != events.StatusDeleted })
	if _, err := os.Stat(filepath.Join(l.dir, FileName)); onlyRemoves && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return fmt.Errorf("write %s: %w", FileName, err)
	}
	unlock, err := filelock.LockDir(ctx, l.dir)
	if err != nil {
		return fmt.Errorf("write %s: %w", FileName, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if err := atomicfile.RemoveTemps(l.dir); err != nil {
		return err
	}
	all, err := l.read()
	if err != nil {
		return err
	}
	byID := make(map[identity]Entry, len(all)+len(entries))
	for _, e := range append(all, entries...) {
		if id := e.identity(); e.Sequence >= byID[id].Sequence {
			byID[id] = e
		}
	}
	maps.DeleteFunc(byID, func(id identity, e Entry) bool { // a deletion that names no time, of an earlier version
		gone, ok := byID[identity{run: id.run}]
		return ok && id.at != 0 && gone.Status == events.StatusDeleted && e.Sequence <= gone.Sequence
	})
	maps.DeleteFunc(byID, func(_ identity, e Entry) bool { return e.Status == events.StatusDeleted })
	all = slices.SortedFunc(maps.Values(byID), func(a, b Entry) int {
		// Newest first, because people look for the newest runs.
		return cmp.Or(b.RequestedAt.Compare(a.RequestedAt), strings.Compare(b.RunID, a.RunID))
	})
	if all == nil {
		all = []Entry{} // which is JSON's empty list
	}
	if err := l.replace(FileName, atomicfile.JSON(all)); err != nil {
		return err
	}
	failpoint.Here(failpoint.ReportList)
	return l.replace(TextFileName, func(w io.Writer) error { return writeText(w, all) })
}

// identity tells runs apart: those of two data folders may have one id, and were asked for at
// other times.
type identity struct {
	run string
	at  int64 // nanoseconds; 0: unknown
}

func (e Entry) identity() identity {
	if e.RequestedAt.IsZero() {
		return identity{run: e.RunID}
	}
	return identity{e.RunID, e.RequestedAt.UnixNano()}
}

// Has reports whether the list has the run of an entry.
func (l *List) Has(run Entry) (bool, error) {
	all, err := l.read() // which is replaced as a whole
	return slices.ContainsFunc(all, func(e Entry) bool {
		return e.RunID == run.RunID && (run.RequestedAt.IsZero() || e.identity() == run.identity())
	}), err
}

// replace writes a file of the list.
func (l *List) replace(name string, write func(io.Writer) error) error {
	if err := atomicfile.Write(filepath.Join(l.dir, name), write, atomicfile.Options{Sync: true, BeforeRename: failpoint.ReportUnnamed}); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// read returns the list, newest run first; nil if there is none yet.
func (l *List) read() ([]Entry, error) {
	path := filepath.Join(l.dir, FileName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read run list: %w", err)
	}
	var all []Entry
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read run list %s: %w (remove the file to start it anew)", path, err)
	}
	return all, nil
}
