package gc

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/content"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/requestlog"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/storeusers"
)

// Store is the part of [artifact.Store] that a collection needs.
type Store interface {
	content.Store
	Leftovers(ctx context.Context, before time.Time) iter.Seq2[artifact.Object, error]
	RemoveLeftover(ctx context.Context, o artifact.Object) error
}

// checkpoints are the registered checkpoints of jobs.
type checkpoints interface {
	List(ctx context.Context, each func(checkpoint.Entry) error) error
	Delete(ctx context.Context, run string, p events.Phase) error
}

// Options configure a [Collector].
type Options struct {
	// Grace is the age below which an object is never removed. Default 0.
	Grace time.Duration
	// ContentGrace is the age below which content is never removed, if Grace is
	// less. Only tests shorten it. Default [content.Lifetime].
	ContentGrace time.Duration
	// Runs, if set, are deleted runs: only what they made and refer to is
	// collected. Nothing that they refer to is in use by that.
	Runs []string
	// StoreConfirmed removes objects also if no run refers to the store. By
	// default such a store is considered the wrong one.
	StoreConfirmed bool
	// DryRun reports what would be removed and removes nothing.
	DryRun bool
	// OnRemoved, if set, is called for each removed object.
	OnRemoved func(Removed)
}

// Collector removes artifacts that are not in use.
type Collector struct {
	sources     sources
	checkpoints checkpoints
	store       Store
	// others lists the other users of the store.
	others   func(context.Context) ([]storeusers.User, error)
	manifest func(ctx context.Context, ref events.Reference) (manifest.Manifest, error)
	opts     Options
}

// New returns a collector.
func New(c *conn.Conn, store Store, opts Options) *Collector {
	opts.ContentGrace = max(opts.Grace, cmp.Or(opts.ContentGrace, content.Lifetime))
	return &Collector{
		sources: sources{
			requests:    requestlog.New(c),
			deadLetters: deadletter.New(c),
			runs:        runlister.New(c),
			stream:      history.New(c),
			archive:     archive.NewFiles(store),
		},
		checkpoints: checkpoint.New(c),
		store:       store,
		others: func(ctx context.Context) ([]storeusers.User, error) {
			me, err := storeusers.Of(ctx, c)
			if err != nil {
				return nil, err
			}
			return storeusers.Others(ctx, store, me.ID)
		},
		manifest: transfer.New(store).Manifest,
		opts:     opts,
	}
}

// Report is what a [Collector] did, or would do.
type Report struct {
	// Removed are the artifacts, Leftovers the leftovers of killed writers.
	Removed   Sum `json:"removed"`
	Leftovers Sum `json:"leftovers"`
	// Checkpoints are the checkpoints of runs that have ended or do not exist.
	Checkpoints int `json:"checkpoints"`
	// Runs is the number of runs that were read, Open of those that have not
	// ended.
	Runs int `json:"runs"`
	Open int `json:"open"`
	// Unreadable are the runs with a fact that can not be read. All of their
	// objects remain.
	Unreadable []string `json:"unreadable,omitempty"`
	// Kept is what remains of the runs of the options, and UsedBy the runs that
	// refer to some of it.
	Kept   Sum      `json:"kept,omitzero"`
	UsedBy []string `json:"used_by,omitempty"`
	// Young is what of it no run refers to, and what is too young to be removed yet.
	Young Sum `json:"young,omitzero"`
	// Shared is what of it stays because other deployments use the store, too, and may
	// refer to it. SharedWith names them.
	Shared     Sum      `json:"shared,omitzero"`
	SharedWith []string `json:"shared_with,omitempty"`
}

// Sum is a number of objects and their size.
type Sum struct {
	Count int   `json:"count"`
	Bytes int64 `json:"bytes"`
}

// Removed is a removed object.
type Removed struct {
	Key   string `json:"key"`
	Bytes int64  `json:"bytes"`
}

// ErrNoReference means that no run refers to the store.
var ErrNoReference = errors.New("no run refers to this artifact store, so it may be the wrong one, or the wrong server")

// Run collects once. In a store that other deployments use, too, it collects nothing, and the
// error is a [*storeusers.SharedError]; of deleted runs it collects there only what intake's own
// ids mark as theirs.
func (c *Collector) Run(ctx context.Context) (Report, error) {
	var report Report
	others, err := c.others(ctx)
	if err != nil {
		return report, err
	}
	if len(others) > 0 && c.opts.Runs == nil {
		return report, &storeusers.SharedError{Others: others}
	}
	for _, u := range others {
		report.SharedWith = append(report.SharedWith, u.String())
	}
	now := time.Now()
	before, cutoff := now.Add(-c.opts.Grace), now.Add(-c.opts.ContentGrace)
	scope, err := c.readScope(ctx)
	if err != nil {
		return report, err
	}
	var found candidates
	for o, err := range c.store.List(ctx, "") {
		if err != nil {
			return report, err
		}
		if !scope.has(o.Key) {
			continue
		}
		scope.total.Count++
		scope.total.Bytes += o.Size
		if len(others) > 0 && !isOwn(o.Key) {
			report.Shared.Count++
			report.Shared.Bytes += o.Size
			continue
		}
		if o.ModTime.Before(before) {
			found.add(o.Key, o.Size)
		}
		if o.ModTime.Before(cutoff) {
			found.addContent(o.Key)
		} else if scope.runs != nil {
			found.addYoung(o.Key, o.Size)
		}
	}
	m := marker{
		sources:    c.sources,
		storeID:    c.store.ID(),
		candidates: &found,
		report:     &report,
		ended:      map[string]bool{},
		needed:     map[string]bool{},
		manifest:   c.manifest,
		ofRuns:     c.opts.Runs != nil,
		folders:    map[string]bool{},
	}
	if err := m.markAll(ctx, c.opts.Runs); err != nil {
		return report, err
	}
	if found.count > 0 && m.references == 0 && !c.opts.StoreConfirmed {
		return report, ErrNoReference
	}
	err = errors.Join(
		c.removeCheckpoints(ctx, scope, before, m.ended, &report),
		c.sweep(ctx, found, &report),
		c.removeContent(ctx, found.content, cutoff, &report),
	)
	c.removeEmptyFolders(scope)
	if scope.runs == nil {
		return report, errors.Join(err, c.removeLeftovers(ctx, before, &report))
	}
	report.Kept = Sum{scope.total.Count - report.Removed.Count, scope.total.Bytes - report.Removed.Bytes}
	for _, young := range found.young {
		report.Young.Count += young.Count
		report.Young.Bytes += young.Bytes
	}
	return report, err
}

// removeCheckpoints removes the registered checkpoints of runs that have ended
// or do not exist: no job will resume from them.
func (c *Collector) removeCheckpoints(ctx context.Context, scope *scope, before time.Time, ended map[string]bool, report *Report) error {
	var obsolete []checkpoint.Entry
	err := c.checkpoints.List(ctx, func(e checkpoint.Entry) error {
		if scope.runs != nil && !slices.Contains(scope.runs, e.Run) {
			return nil
		}
		if runEnded, exists := ended[e.Run]; e.Phase.Valid() && (runEnded || !exists) && e.Time.Before(before) {
			obsolete = append(obsolete, e)
		}
		return nil
	})
	for _, e := range obsolete {
		if err != nil {
			break
		}
		if !c.opts.DryRun {
			err = c.checkpoints.Delete(ctx, e.Run, e.Phase)
		}
		report.Checkpoints++
	}
	return err
}

// sweep removes the candidates that were not marked. If one can not be removed,
// it continues with the others.
func (c *Collector) sweep(ctx context.Context, found candidates, report *Report) error {
	var first error
	failed := 0
	for _, run := range slices.Sorted(maps.Keys(found.byRun)) {
		for _, key := range slices.Sorted(maps.Keys(found.byRun[run])) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if !c.opts.DryRun {
				if err := c.store.Delete(ctx, key); err != nil && !errors.Is(err, artifact.ErrNotFound) {
					if first == nil {
						first = err
					}
					failed++
					continue
				}
			}
			c.count(&report.Removed, Removed{Key: key, Bytes: found.byRun[run][key]})
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d objects were not removed, the first because: %w", failed, first)
	}
	return nil
}

// removeContent removes the content that was not marked, and old notices about
// content.
func (c *Collector) removeContent(ctx context.Context, digests map[string]bool, cutoff time.Time, report *Report) error {
	removed := func(o artifact.Object) { c.count(&report.Removed, Removed{Key: o.Key, Bytes: o.Size}) }
	if c.opts.DryRun {
		for _, sum := range slices.Sorted(maps.Keys(digests)) {
			o, err := c.store.Stat(ctx, content.Prefix+sum)
			if errors.Is(err, artifact.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			removed(o)
		}
		return nil
	}
	return errors.Join(
		content.Remove(ctx, c.store, slices.Sorted(maps.Keys(digests)), cutoff, removed),
		content.RemoveNotices(ctx, c.store, cutoff),
	)
}

// removeEmptyFolders removes what a killed process left of the folders of runs.
func (c *Collector) removeEmptyFolders(scope *scope) {
	store, ok := c.store.(*artifact.Store)
	if !ok || c.opts.DryRun {
		return
	}
	prefixes := []string{"runs/", "uploads/", archive.Prefix}
	if scope.runs != nil {
		prefixes = nil
		for _, run := range scope.runs {
			prefixes = append(prefixes, "runs/"+run+"/", "uploads/"+run+"/")
		}
	}
	for _, prefix := range prefixes {
		artifact.RemoveEmptyFolders(store, prefix)
	}
}

// removeLeftovers removes the leftovers of killed writers.
func (c *Collector) removeLeftovers(ctx context.Context, before time.Time, report *Report) error {
	for o, err := range c.store.Leftovers(ctx, before) {
		if err == nil && !c.opts.DryRun {
			err = c.store.RemoveLeftover(ctx, o)
		}
		if err != nil {
			return err
		}
		c.count(&report.Leftovers, Removed{Key: o.Key, Bytes: o.Size})
	}
	return nil
}

func (c *Collector) count(sum *Sum, removed Removed) {
	sum.Count++
	sum.Bytes += removed.Bytes
	if c.opts.OnRemoved != nil {
		c.opts.OnRemoved(removed)
	}
}
