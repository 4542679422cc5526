package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/lease"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
)

// Archiver takes ended runs out of the stream of facts.
type Archiver struct {
	Bus   *conn.Conn
	Store *artifact.Store
	// OlderThan is how long ago the last fact of a run has to be.
	OlderThan time.Duration
	// DryRun only says what would be done.
	DryRun bool
	// Told, when set, hears of every run as soon as it is dealt with.
	Told func(Moved)
}

// Report is what an [Archiver] did, or would do.
type Report struct {
	Archived []Moved `json:"archived"`
	// Left names the runs that have ended, are old enough and stay, with the
	// reason.
	Left []Left `json:"left,omitempty"`
	// Open and Young count the runs that stay since they go on, or have ended
	// too recently.
	Open  int `json:"open"`
	Young int `json:"young"`
}

// Moved is a run that has left the stream.
type Moved struct {
	Run   string    `json:"run_id"`
	Facts int       `json:"facts"`
	Ended time.Time `json:"ended_at"`
	// Archive is where the facts are now.
	Archive events.Reference `json:"archive"`
}

// Left is a run that stays in the stream.
type Left struct {
	Run string `json:"run_id"`
	Why string `json:"why"`
}

// leaseName names the lease that keeps archivers from doing the same work.
const leaseName = "archive"

// Run archives every run that may go. It ends at the first error of the bus
// or the store; what was archived by then is in the report. The error is
// [lease.ErrTaken] while another archiver works.
func (a Archiver) Run(ctx context.Context) (Report, error) {
	report := Report{Archived: []Moved{}}
	err := lease.Run(ctx, a.Bus, leaseName, func(ctx context.Context) error {
		runs, err := runindex.New(a.Bus).InStream(ctx)
		if err != nil {
			return err
		}
		archives, err := list(ctx, a.Store)
		if err != nil {
			return err
		}
		for _, run := range runs {
			if err := a.one(ctx, run, archives[run], &report); err != nil {
				return fmt.Errorf("archive run %s: %w", run, err)
			}
		}
		return nil
	})
	return report, err
}

// one archives a run if it may go; archives are those it has already.
func (a Archiver) one(ctx context.Context, run string, archives []artifact.Object, report *Report) error {
	leave := func(why string) error {
		report.Left = append(report.Left, Left{Run: run, Why: why})
		return nil
	}
	story, err := history.New(a.Bus).RunHistory(ctx, run)
	if err != nil || len(story.Facts) == 0 { // taken away since it was listed
		return err
	}
	kept, err := readAll(ctx, a.Store, run, archives)
	if err == nil {
		kept, err = merge(kept, story.Facts)
	}
	if errors.Is(err, ErrDamaged) || errors.Is(err, errTwice) {
		return leave(err.Error())
	}
	if err != nil {
		return err
	}
	state, unreadable := history.RunHistory{Facts: kept}.Run()
	newest := kept[len(kept)-1].Time
	switch {
	case unreadable != nil && (state.Completed == nil || !Whole(state)):
		return leave(unreadable.Error()) // it may tell what is missing
	case state.Accepted == nil:
		return leave("the stream does not hold its beginning, and there is no archive of it")
	case state.Completed == nil:
		report.Open++
		return nil
	case time.Since(newest) < a.OlderThan:
		report.Young++
		return nil
	case !Whole(state):
		return leave("the stream does not hold all of it, and there is no archive of the rest")
	case state.Tracked == nil && !names(unreadable, events.TrackingCompleted{RunID: run}.Subject()):
		return leave("it is not tracked yet; \"tunebus replay tracking --run " + run + "\" tracks it")
	}
	if other := elsewhere(state, a.Store.ID()); other != "" {
		return leave(fmt.Sprintf("its artifacts lie in store %s, this is store %s", other, a.Store.ID()))
	}
	ref, err := a.keep(ctx, run, kept)
	if err != nil {
		return err
	}
	if !a.DryRun {
		if err := a.forget(ctx, run, story.Last); err != nil {
			return err
		}
	}
	moved := Moved{Run: run, Facts: len(kept), Ended: state.Completed.EndedAt, Archive: ref}
	report.Archived = append(report.Archived, moved)
	if a.Told != nil {
		a.Told(moved)
	}
	return nil
}

// names reports whether err says that the fact on a subject cannot be read.
func names(err error, subject string) bool {
	var bad *history.UnreadableError
	return errors.As(err, &bad) && slices.ContainsFunc(bad.Facts, func(f history.UnreadableFact) bool { return f.Subject == subject })
}

// keep writes the archive of a run, reads it back and compares it. An archive
// with the same facts is left as it is, and compared too.
func (a Archiver) keep(ctx context.Context, run string, facts []history.StoredFact) (events.Reference, error) {
	text, err := encode(facts)
	if err != nil {
		return events.Reference{}, err
	}
	digest := sha256.Sum256(text)
	sum := hex.EncodeToString(digest[:])
	ref := events.Reference{Store: a.Store.ID(), Key: key(run, sum), MediaType: mediaType, Size: int64(len(text)), SHA256: sum}
	if a.DryRun {
		return ref, nil
	}
	if _, err := a.Store.Put(ctx, ref.Key, mediaType, bytes.NewReader(text)); err != nil {
		return ref, err
	}
	back, err := readOne(ctx, a.Store, run, artifact.Object{Key: ref.Key, Size: ref.Size})
	if err != nil {
		return ref, fmt.Errorf("read back: %w", err)
	}
	return ref, same(facts, back)
}

// same compares what was read back with what was to be written.
func same(want, have []history.StoredFact) error {
	if len(have) != len(want) {
		return fmt.Errorf("read back: %d facts, want %d", len(have), len(want))
	}
	for i, w := range want {
		h := have[i]
		if h.Sequence != w.Sequence || h.Subject != w.Subject || h.ID != w.ID || !h.Time.Equal(w.Time) {
			return fmt.Errorf("read back: %s at sequence %d, want %s at %d", h.Subject, h.Sequence, w.Subject, w.Sequence)
		}
	}
	return nil
}

// forget removes an archived run from the stream, and what is left of its
// checkpoints: nobody will go on from them.
func (a Archiver) forget(ctx context.Context, run string, last uint64) error {
	for _, p := range events.Phases() {
		_, err := checkpoint.New(a.Bus).Load(ctx, run, p)
		if err == nil {
			err = checkpoint.New(a.Bus).Delete(ctx, run, p)
		}
		if err != nil && !errors.Is(err, checkpoint.ErrNone) {
			return err
		}
	}
	return history.New(a.Bus).PurgeRun(ctx, run, last)
}

// elsewhere is the store that a run's own artifacts lie in if it is another
// one than this; empty if it is this one, or there are none.
func elsewhere(run events.Run, store string) string {
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
