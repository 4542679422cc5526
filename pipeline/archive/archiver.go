package archive

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
)

// leaseName names the lease that prevents two archivers at the same time.
const leaseName = "archive"

// Exclusive calls do while no archiver works. The error is [lease.ErrTaken] while one
// does.
func Exclusive(ctx context.Context, c *conn.Conn, do func(context.Context) error) error {
	return lease.Run(ctx, c, leaseName, do)
}

// runStream is the stream of facts as an archiver uses it.
type runStream interface {
	RunHistory(ctx context.Context, run string) (history.RunHistory, error)
	PurgeRun(ctx context.Context, run string, last uint64) error
}

// runLister lists the runs that have facts in the stream.
type runLister interface {
	InStream(ctx context.Context) ([]string, error)
}

// checkpoints are the registered checkpoints of jobs.
type checkpoints interface {
	Load(ctx context.Context, run string, p events.Phase) (checkpoint.Checkpoint, error)
	Delete(ctx context.Context, run string, p events.Phase) error
}

// runIndex is the list of runs, which shows archived ones only on demand.
type runIndex interface {
	CatchUp(ctx context.Context) error
	MarkArchived(ctx context.Context, facts []codec.Message) error
}

// Options configure an [Archiver].
type Options struct {
	// OlderThan is the minimum age of the newest fact of a run. Default 0.
	OlderThan time.Duration
	// DryRun reports what would be done and changes nothing.
	DryRun bool
	// Before, if set, is called before a run is archived, or would be.
	Before func(ctx context.Context, run events.Run)
	// OnArchived, if set, is called after each archived run.
	OnArchived func(ArchivedRun)
}

// Archiver moves ended runs from the stream of facts into the archive.
type Archiver struct {
	stream      runStream
	runs        runLister
	checkpoints checkpoints
	files       *Files
	index       runIndex
	opts        Options
	// exclusive calls do while this process has the lease.
	exclusive func(ctx context.Context, do func(context.Context) error) error
}

// NewArchiver returns an archiver.
func NewArchiver(c *conn.Conn, store Store, opts Options) *Archiver {
	return &Archiver{
		stream:      history.New(c),
		runs:        runlister.New(c),
		checkpoints: checkpoint.New(c),
		files:       NewFiles(store),
		index:       runindex.New(c),
		opts:        opts,
		exclusive: func(ctx context.Context, do func(context.Context) error) error {
			return Exclusive(ctx, c, do)
		},
	}
}

// Report is what an [Archiver] did, or would do.
type Report struct {
	Archived []ArchivedRun `json:"archived"`
	// Skipped are the runs that have ended and are old enough, but can not be
	// archived.
	Skipped []SkippedRun `json:"left,omitempty"`
	// Open and Young are the numbers of runs that have not ended, or are not
	// old enough.
	Open  int `json:"open"`
	Young int `json:"young"`
}

// ArchivedRun is a run that was archived.
type ArchivedRun struct {
	Run   string    `json:"run_id"`
	Facts int       `json:"facts"`
	Ended time.Time `json:"ended_at"`
	// Archive is the file with the facts.
	Archive events.Reference `json:"archive"`
}

// SkippedRun is a run that remains in the stream, with the reason.
type SkippedRun struct {
	Run string `json:"run_id"`
	Why string `json:"why"`
}

// Run archives all runs that can be archived. It stops at the first error of the
// bus or the store; the report then has the runs that were archived before. The
// error is [lease.ErrTaken] while another archiver runs.
func (a *Archiver) Run(ctx context.Context) (Report, error) {
	report := Report{Archived: []ArchivedRun{}}
	err := a.exclusive(ctx, func(ctx context.Context) error {
		runs, err := a.runs.InStream(ctx)
		if err != nil {
			return err
		}
		existing, err := a.files.listByRun(ctx)
		if err != nil {
			return err
		}
		if !a.opts.DryRun { // what the list lacks it cannot read later
			if err := a.index.CatchUp(ctx); err != nil {
				return fmt.Errorf("bring the list of runs up to date: %w", err)
			}
		}
		for _, run := range runs {
			if err := a.archiveRun(ctx, run, existing[run], &report); err != nil {
				return fmt.Errorf("archive run %s: %w", run, err)
			}
		}
		return nil
	})
	return report, err
}

// archiveRun archives a run if that is possible. existing are the archives that
// the run has already.
func (a *Archiver) archiveRun(ctx context.Context, run string, existing []artifact.Object, report *Report) error {
	inStream, err := a.stream.RunHistory(ctx, run)
	if err != nil || len(inStream.Facts) == 0 { // it was removed after it was listed
		return err
	}
	facts, err := a.files.readAll(ctx, run, existing)
	if err == nil {
		facts, err = merge(facts, inStream.Facts)
	}
	if errors.Is(err, ErrDamaged) || errors.Is(err, errIDReused) {
		report.skip(run, err.Error())
		return nil
	}
	if err != nil {
		return err
	}
	state, unreadable := history.RunHistory{Facts: facts}.Run()
	switch d := a.decide(run, state, unreadable, facts[len(facts)-1].Time); {
	case d.open:
		report.Open++
	case d.young:
		report.Young++
	case d.skip != "":
		report.skip(run, d.skip)
	default:
		return a.move(ctx, run, state, facts, inStream.Last, report)
	}
	return nil
}

// decision is what to do with a run. The zero decision is to archive it.
type decision struct {
	open, young bool
	skip        string // the reason to skip the run
}

// decide decides about a run whose newest fact has the given time.
func (a *Archiver) decide(run string, state events.Run, unreadable error, newest time.Time) decision {
	switch {
	case unreadable != nil && (state.Completed == nil || !Whole(state)):
		return decision{skip: unreadable.Error()} // the unreadable fact may be the missing one
	case state.Accepted == nil:
		return decision{skip: "the stream does not hold its beginning, and there is no archive of it"}
	case state.Completed == nil:
		return decision{open: true}
	case time.Since(newest) < a.opts.OlderThan:
		return decision{young: true}
	case !Whole(state):
		return decision{skip: "the stream does not hold all of it, and there is no archive of the rest"}
	case state.Tracked == nil && !isUnreadable(unreadable, events.TrackingCompleted{RunID: run}.Subject()):
		return decision{skip: "it is not tracked yet; \"tunebus replay tracking --run " + run + "\" tracks it"}
	case len(state.Unpublished()) > 0:
		return decision{skip: "it is not published yet; \"tunebus replay publishing --run " + run + "\" pushes it to the Hub"}
	}
	if other := ForeignStore(state, a.files.store.ID()); other != "" {
		return decision{skip: fmt.Sprintf("its artifacts lie in store %s, this is store %s", other, a.files.store.ID())}
	}
	return decision{}
}

// move writes the archive of a run and then removes the run from the stream, up
// to the sequence last.
func (a *Archiver) move(
	ctx context.Context, run string, state events.Run, facts []history.StoredFact, last uint64, report *Report,
) error {
	if a.opts.Before != nil {
		a.opts.Before(ctx, state)
	}
	text, err := encode(facts)
	if err != nil {
		return err
	}
	ref := a.files.reference(run, text)
	if !a.opts.DryRun {
		if err := a.files.write(ctx, run, ref, text, facts); err != nil {
			return err
		}
		if err := a.index.MarkArchived(ctx, messages(facts)); err != nil {
			return err
		}
		if err := a.purge(ctx, run, last); err != nil {
			return err
		}
	}
	archived := ArchivedRun{Run: run, Facts: len(facts), Ended: state.Completed.EndedAt, Archive: ref}
	report.Archived = append(report.Archived, archived)
	if a.opts.OnArchived != nil {
		a.opts.OnArchived(archived)
	}
	return nil
}

// messages are facts without their stored bytes.
func messages(facts []history.StoredFact) []codec.Message {
	out := make([]codec.Message, len(facts))
	for i, f := range facts {
		out[i] = f.Message
	}
	return out
}

// purge removes an archived run from the stream, and its registered checkpoints:
// an ended run is never resumed.
func (a *Archiver) purge(ctx context.Context, run string, last uint64) error {
	for _, p := range events.Phases() {
		_, err := a.checkpoints.Load(ctx, run, p)
		if err == nil {
			err = a.checkpoints.Delete(ctx, run, p)
		}
		if err != nil && !errors.Is(err, checkpoint.ErrNone) {
			return err
		}
	}
	return a.stream.PurgeRun(ctx, run, last)
}

func (r *Report) skip(run, why string) {
	r.Skipped = append(r.Skipped, SkippedRun{Run: run, Why: why})
}

// isUnreadable reports whether err means that the fact with a subject exists and
// can not be read.
func isUnreadable(err error, subject string) bool {
	unreadable, ok := errors.AsType[*history.UnreadableError](err)
	return ok && slices.ContainsFunc(unreadable.Facts, func(f history.UnreadableFact) bool { return f.Subject == subject })
}

// ForeignStore returns the store with the artifacts of a run if it is not the
// given one; "" if it is, or if the run has no artifacts.
func ForeignStore(run events.Run, store string) string {
	for _, p := range run.Phases {
		if p.Completed == nil {
			continue
		}
		for _, a := range p.Completed.Artifacts {
			if a.Reference.Store != store {
				return a.Reference.Store
			}
		}
	}
	return ""
}
