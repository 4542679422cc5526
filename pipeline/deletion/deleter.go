package deletion

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/pipeline/gc"
)

// Options say what is deleted.
type Options struct {
	// Archived deletes archived runs, too.
	Archived bool
	// DryRun reports what would be removed and removes nothing.
	DryRun bool
	// TrackAgain has a tracker try again what an earlier one could not remove or mark.
	TrackAgain bool
	// Unattended says that nobody works on the runs: a refusal calls none of them running.
	Unattended bool
	// OnWait, if set, is called once if somebody else archives or deletes runs, or did
	// until a process died.
	OnWait func()
}

// Deleter deletes runs.
type Deleter struct {
	conn    *conn.Conn
	stream  *history.History
	runs    *runlister.Lister
	letters *deadletter.Queue
	facts   *journal.Journal
	archive *archive.Files
	store   *artifact.Store
}

// New returns a deleter of the runs of a server whose services use the store.
func New(c *conn.Conn, store *artifact.Store) *Deleter {
	return &Deleter{
		conn:    c,
		stream:  history.New(c),
		runs:    runlister.New(c),
		letters: deadletter.New(c),
		facts:   journal.New(c),
		archive: archive.NewFiles(store),
		store:   store,
	}
}

// Report is what was deleted, or would be.
type Report struct {
	Runs []Target `json:"runs"`
	// Removed are the artifacts, Kept those that remain: other runs use them, UsedBy
	// has these, or they are content of the last hour.
	Removed gc.Sum   `json:"removed"`
	Kept    gc.Sum   `json:"kept"`
	UsedBy  []string `json:"used_by,omitempty"`
	// Young are those of Kept that no run uses.
	Young gc.Sum `json:"young,omitzero"`
	// Shared are those of Kept that others who use the store may refer to. SharedWith
	// names them.
	Shared     gc.Sum   `json:"shared,omitzero"`
	SharedWith []string `json:"shared_with,omitempty"`
	// Archives are the removed files of archived runs.
	Archives gc.Sum `json:"archives"`
	// Checkpoints and DeadLetters are their numbers.
	Checkpoints int `json:"checkpoints"`
	DeadLetters int `json:"dead_letters"`
}

// patience is how long a deletion waits for another one. It is longer than the lease
// of a process that died.
const patience = topology.LeaseTTL + 10*time.Second

// Delete deletes what [Deleter.Plan] returned. The error is [lease.ErrTaken] if
// somebody archives or deletes runs for long.
func (d *Deleter) Delete(ctx context.Context, targets []Target, opts Options) (report Report, err error) {
	do := func(ctx context.Context) (err error) {
		ids := make([]string, len(targets))
		for i, t := range targets {
			ids[i] = t.RunID
		}
		if report.Runs, err = d.Plan(ctx, ids, opts); err != nil { // a run may have been archived meanwhile
			return err
		}
		return d.deleteAll(ctx, &report, opts)
	}
	if opts.DryRun {
		err = do(ctx)
		return report, err
	}
	for began := time.Now(); ; {
		err = archive.Exclusive(ctx, d.conn, do)
		if !errors.Is(err, lease.ErrTaken) || time.Since(began) > patience {
			return report, err
		}
		if opts.OnWait != nil {
			opts.OnWait()
			opts.OnWait = nil
		}
		select {
		case <-ctx.Done():
			return report, context.Cause(ctx)
		case <-time.After(500 * time.Millisecond):
		}
	}
}

func (d *Deleter) deleteAll(ctx context.Context, report *Report, opts Options) error {
	if len(report.Runs) == 0 {
		return nil
	}
	sequences := map[string]uint64{}
	ids := make([]string, len(report.Runs))
	for i, t := range report.Runs {
		ids[i] = t.RunID
		if opts.DryRun {
			continue
		}
		sequence, err := d.publish(ctx, t, opts)
		if err != nil {
			return err
		}
		sequences[t.RunID] = sequence
	}
	if err := d.removeLetters(ctx, report, opts); err != nil {
		return err
	}
	collected, err := gc.New(d.conn, d.store, gc.Options{Runs: ids, StoreConfirmed: true, DryRun: opts.DryRun}).Run(ctx)
	report.Removed, report.Kept, report.UsedBy, report.Young, report.Checkpoints = collected.Removed, collected.Kept, collected.UsedBy, collected.Young, collected.Checkpoints
	report.Shared, report.SharedWith = collected.Shared, collected.SharedWith
	if err != nil {
		return err
	}
	failpoint.Here(failpoint.DeletedArtifacts)
	for _, id := range ids {
		if err := d.removeArchive(ctx, id, report, opts); err != nil {
			return err
		}
		if opts.DryRun {
			continue
		}
		failpoint.Here(failpoint.DeletedArchive)
		if err := d.stream.PurgeRun(ctx, id, sequences[id]-1); err != nil {
			return err
		}
	}
	return nil
}

// publish stores that a run is deleted, and returns the sequence of that fact.
func (d *Deleter) publish(ctx context.Context, t Target, opts Options) (uint64, error) {
	fact := t.deletion
	var stored codec.Message
	var err error
	if t.Begun {
		stored, err = d.stream.Latest(ctx, fact.Subject())
	} else {
		fact.DeletedAt = time.Now().UTC()
		stored, err = d.facts.Publish(ctx, fact, journal.Fence{})
		if _, done := errors.AsType[*journal.FencedError](err); done { // by somebody else at the same time
			stored, err = d.stream.Latest(ctx, fact.Subject())
		}
	}
	if err != nil {
		return 0, fmt.Errorf("delete run %s: %w", t.RunID, err)
	}
	before := stored.Sequence // the tracker says anew that it is done
	if opts.TrackAgain {
		tracked, err := d.stream.Latest(ctx, events.TrackingCompleted{RunID: t.RunID}.Subject())
		if done, ok := tracked.Event.(events.TrackingCompleted); err == nil && ok && len(done.Gaps) > 0 {
			before = tracked.Sequence + 1
		}
	}
	return stored.Sequence, history.PurgeTracking(ctx, d.stream, t.RunID, before)
}

// Tracking is what the tracker said about a deleted run: what it could not remove or
// mark, and what a person may want to know. The error is [history.ErrNotFound] while it
// has said nothing.
func (d *Deleter) Tracking(ctx context.Context, run string) (events.TrackingCompleted, error) {
	m, err := d.stream.Latest(ctx, events.TrackingCompleted{RunID: run}.Subject())
	done, _ := m.Event.(events.TrackingCompleted)
	return done, err
}

// removeLetters removes the dead letters of runs. A redriven one would be about a
// run that is gone.
func (d *Deleter) removeLetters(ctx context.Context, report *Report, opts Options) error {
	var letters []uint64
	err := d.letters.List(ctx, func(l deadletter.Letter) error {
		for _, t := range report.Runs {
			if l.Run == t.RunID && l.Stream == events.StreamFacts {
				letters = append(letters, l.Sequence)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	report.DeadLetters = len(letters)
	for _, sequence := range letters {
		if opts.DryRun {
			continue
		}
		if err := d.letters.Discard(ctx, sequence); err != nil {
			return err
		}
	}
	return nil
}

// removeArchive removes the archive of a run.
func (d *Deleter) removeArchive(ctx context.Context, run string, report *Report, opts Options) error {
	prefix := archive.Prefix + run + "/"
	for o, err := range d.store.List(ctx, prefix) {
		if err == nil && !opts.DryRun {
			err = d.store.Delete(ctx, o.Key)
		}
		if err != nil && !errors.Is(err, artifact.ErrNotFound) {
			return fmt.Errorf("remove the archive of run %s: %w", run, err)
		}
		report.Archives.Count++
		report.Archives.Bytes += o.Size
	}
	if !opts.DryRun {
		artifact.RemoveEmptyFolders(d.store, prefix)
	}
	return nil
}
