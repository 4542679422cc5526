package deletion

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/runsummary"
	"github.com/tunebus/tunebus/pipeline/storeusers"
)

// Target is a run that can be deleted.
type Target struct {
	RunID      string            `json:"run_id"`
	RunName    string            `json:"run_name,omitempty"`
	Conclusion events.Conclusion `json:"conclusion,omitempty"`
	// Status is the conclusion, or that a part of the run fell short.
	Status  events.Status `json:"status,omitempty"`
	EndedAt time.Time     `json:"ended_at,omitzero"`
	// Facts is how many facts are removed, archived ones too.
	Facts    int  `json:"facts"`
	Archived bool `json:"archived,omitempty"`
	// Begun is set if an earlier deletion was cut short.
	Begun bool `json:"begun,omitempty"`

	deletion events.PipelineDeleted
}

// Refusal is why a run is not deleted.
type Refusal struct{ Run, Why string }

// RefusedError says that nothing is deleted, because some runs cannot be.
type RefusedError struct{ Refusals []Refusal }

func (e *RefusedError) Error() string {
	lines := make([]string, len(e.Refusals))
	for i, r := range e.Refusals {
		lines[i] = fmt.Sprintf("run %s: %s", r.Run, r.Why)
	}
	return "nothing is deleted:\n" + strings.Join(lines, "\n")
}

// ErrUnknown means that there is no such run.
var ErrUnknown = errors.New("unknown")

// facts are what is stored of a run.
type facts struct {
	inStream, archived []history.StoredFact
}

// fold returns the state of the run as it was before it was deleted, and its
// deletion, which is nil if it is not deleted. unreadable is an error if a fact
// cannot be read.
func (f facts) fold() (run events.Run, deletion *events.PipelineDeleted, unreadable error) {
	var before []codec.Message
	seen := map[string]bool{}
	for _, fact := range append(slices.Clone(f.inStream), f.archived...) {
		if d, ok := fact.Event.(events.PipelineDeleted); ok {
			deletion = &d
			continue
		}
		if !seen[fact.Subject] {
			seen[fact.Subject] = true
			before = append(before, fact.Message)
		}
	}
	return history.Fold(before), deletion, history.Unreadable(before)
}

// read reads what is stored of a run.
func (d *Deleter) read(ctx context.Context, run string) (facts, error) {
	h, err := d.stream.RunHistory(ctx, run)
	if err != nil {
		return facts{}, err
	}
	archived, err := d.archive.Read(ctx, run)
	if errors.Is(err, archive.ErrDamaged) { // what the stream does not hold of it is lost anyway
		err = nil
	}
	return facts{h.Facts, archived}, err
}

// Plan looks whether runs can be deleted. The error is a [*RefusedError] with the
// reason of each run that cannot be; it changes nothing. A run that was deleted
// before is a target, too, also if nothing of it is left.
func (d *Deleter) Plan(ctx context.Context, runs []string, opts Options) ([]Target, error) {
	var targets []Target
	var refused RefusedError
	for _, id := range runs {
		f, err := d.read(ctx, id)
		if err != nil {
			return nil, err
		}
		target, why := d.target(id, f, opts)
		if why == "" && target.Archived {
			if why, err = d.sharedArchive(ctx); err != nil {
				return nil, err
			}
		}
		if why != "" {
			refused.Refusals = append(refused.Refusals, Refusal{id, why})
			continue
		}
		targets = append(targets, target)
	}
	if len(refused.Refusals) > 0 {
		return nil, &refused
	}
	return targets, nil
}

// sharedArchive says why archived runs are not deleted from a store that others use, too;
// empty if nobody else does. An archive does not tell whose run it is.
func (d *Deleter) sharedArchive(ctx context.Context) (why string, err error) {
	me, err := storeusers.Of(ctx, d.conn)
	if err != nil {
		return "", err
	}
	others, err := storeusers.Others(ctx, d.store, me.ID)
	if err != nil || len(others) == 0 {
		return "", err
	}
	return "it is archived, and may be a run of another: " + (&storeusers.SharedError{Others: others}).Error(), nil
}

// target decides about a run. why is the reason why it cannot be deleted.
func (d *Deleter) target(id string, f facts, opts Options) (t Target, why string) {
	run, deletion, unreadable := f.fold()
	archived := len(f.archived) > 0
	t = Target{RunID: id, Facts: len(f.inStream) + len(f.archived), Archived: archived, Begun: deletion != nil}
	switch {
	case deletion != nil:
		t.deletion, t.RunName, t.Facts = *deletion, deletion.RunName, len(f.archived)
		for _, fact := range f.inStream {
			if run.Accepted != nil && fact.Subject != deletion.Subject() {
				t.Facts++
			}
		}
		return t, ""
	case unreadable != nil && run.Completed == nil:
		return t, fmt.Sprintf("it is not sure that it has ended: %v", unreadable)
	case run.Accepted == nil && run.Completed == nil:
		return t, ErrUnknown.Error()
	case run.Completed == nil:
		status := run.Status()
		if opts.Unattended {
			status = runsummary.Stopped(status)
		}
		return t, fmt.Sprintf("it has not ended (%s); \"tunebus cancel %s\" ends it first", status, id)
	case archived && !opts.Archived:
		return t, "it is archived; --archived deletes its archive, too"
	}
	if other := archive.ForeignStore(run, d.store.ID()); other != "" {
		return t, fmt.Sprintf("its artifacts lie in store %s, this is store %s; --artifacts names another one", other, d.store.ID())
	}
	t.Conclusion, t.Status, t.EndedAt = run.Completed.Conclusion, runsummary.StatusOf(run), run.Completed.EndedAt
	t.deletion = events.PipelineDeleted{RunID: id}
	if run.Tracked != nil {
		t.deletion.Links = run.Tracked.Links
	}
	if a := run.Accepted; a != nil {
		t.RunName = a.RunName
		t.deletion.RunName, t.deletion.RequestSequence, t.deletion.RequestedAt = a.RunName, a.Lineage.RequestSequence, a.RequestedAt
		t.deletion.TrackingURI, t.deletion.ExperimentName = a.Specification.MLflow.TrackingURI, a.Specification.MLflow.ExperimentName
	}
	return t, ""
}

// Unfinished lists the runs whose deletion was cut short, sorted by id. A deletion that
// cannot be read is passed over with a warning.
func (d *Deleter) Unfinished(ctx context.Context) ([]events.PipelineDeleted, error) {
	ids, err := d.runs.Unremoved(ctx)
	if err != nil {
		return nil, err
	}
	deleted, err := d.runs.Deleted(ctx)
	if err != nil || len(deleted) == 0 {
		return nil, err
	}
	archived, err := d.archive.Runs(ctx)
	if err != nil {
		return nil, err
	}
	for _, id := range archived {
		if _, found := slices.BinarySearch(deleted, id); found {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var out []events.PipelineDeleted
	for _, id := range slices.Compact(ids) {
		m, err := d.stream.Latest(ctx, events.PipelineDeleted{RunID: id}.Subject())
		if codec.IsUndecodable(err) {
			d.conn.Logger().Warn("a deletion cannot be read and is passed over", "fact", m.Subject, "sequence", m.Sequence, "error", errors.Unwrap(err))
			continue
		}
		if err != nil {
			return nil, err
		}
		if one, ok := m.Event.(events.PipelineDeleted); ok {
			out = append(out, one)
		}
	}
	return out, nil
}
