package gc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/requestlog"
	"github.com/tunebus/tunebus/pipeline/bus/runindex"
)

// Collector removes what no run refers to.
type Collector struct {
	Bus   *conn.Conn
	Store *artifact.Store
	// Grace is how long an object is left alone in any case.
	Grace time.Duration
	// Sure removes objects also where no run refers to the store, which
	// otherwise is taken for the wrong one.
	Sure bool
	// DryRun only says what would be done.
	DryRun bool
	// Told, when set, hears of everything that is removed.
	Told func(Removed)
}

// Report is what a [Collector] did, or would do.
type Report struct {
	// Removed sums up the objects, Leftovers what writers that died left
	// behind.
	Removed   Sum `json:"removed"`
	Leftovers Sum `json:"leftovers"`
	// Checkpoints are those of runs that have ended or are gone.
	Checkpoints int `json:"checkpoints"`
	// Runs counts the runs that were read, Open those that go on.
	Runs int `json:"runs"`
	Open int `json:"open"`
	// Unreadable are runs with a fact that cannot be read; all that carries
	// their name stays.
	Unreadable []string `json:"unreadable,omitempty"`
}

// Sum counts objects.
type Sum struct {
	Count int   `json:"count"`
	Bytes int64 `json:"bytes"`
}

// Removed is one thing that is removed.
type Removed struct {
	Key   string `json:"key"`
	Bytes int64  `json:"bytes"`
}

// ErrNoReference says that no run refers to the store.
var ErrNoReference = errors.New("no run refers to this artifact store, so it may be the wrong one, or the wrong server")

// Run collects once.
func (c Collector) Run(ctx context.Context) (Report, error) {
	var report Report
	before := time.Now().Add(-c.Grace)
	var found candidates
	for o, err := range c.Store.List(ctx, "") {
		if err != nil {
			return report, err
		}
		if o.ModTime.Before(before) {
			found.add(o.Key, o.Size)
		}
	}
	m := marking{c: c, found: &found, report: &report, ended: map[string]bool{}}
	if err := m.all(ctx); err != nil {
		return report, err
	}
	if found.count > 0 && m.refers == 0 && !c.Sure {
		return report, ErrNoReference
	}
	err := errors.Join(c.checkpoints(ctx, before, m.ended, &report), c.remove(ctx, found, &report), c.sweep(ctx, before, &report))
	return report, err
}

// marking spares what is needed.
type marking struct {
	c      Collector
	found  *candidates
	report *Report
	// ended holds every run that was read, and whether it has ended.
	ended  map[string]bool
	refers int // references into the store
}

// all reads everything that may refer to an object: the requests before the
// runs that they make, the stream before the archive that its runs go to, and
// at last the runs that came meanwhile.
func (m *marking) all(ctx context.Context) error {
	err := requestlog.New(m.c.Bus).Pending(ctx, func(run string, data json.RawMessage) error {
		m.found.keepRun(run)
		m.mark(data)
		return nil
	})
	if err == nil {
		err = deadletter.New(m.c.Bus).List(ctx, func(l deadletter.Letter) error {
			m.mark(l.Body)
			return nil
		})
	}
	if err == nil {
		err = m.stream(ctx)
	}
	if err == nil {
		err = m.archived(ctx)
	}
	if err == nil {
		err = m.stream(ctx)
	}
	return err
}

// mark spares what some JSON refers to.
func (m *marking) mark(text []byte) bool {
	err := references(text, func(store, key string) {
		if store == m.c.Store.ID() {
			m.refers++
			m.found.keep(key)
		}
	})
	return err == nil
}

// stream reads the runs of the stream that have not been read yet.
func (m *marking) stream(ctx context.Context) error {
	runs, err := runindex.New(m.c.Bus).InStream(ctx)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if _, read := m.ended[run]; read {
			continue
		}
		story, err := history.New(m.c.Bus).RunHistory(ctx, run)
		if err != nil {
			return err
		}
		m.run(run, story)
	}
	return nil
}

// run spares what a run refers to, and everything of its own unless it has
// surely ended.
func (m *marking) run(run string, story history.RunHistory) {
	m.report.Runs++
	state, unreadable := story.Run()
	ended := state.Completed != nil
	for _, f := range story.Facts {
		if !m.mark(f.Body) && unreadable == nil {
			unreadable = errors.New("no JSON")
		}
	}
	switch {
	case unreadable != nil:
		m.report.Unreadable = append(m.report.Unreadable, run)
		ended = false
	case !ended && state.Accepted != nil:
		m.report.Open++
	}
	m.ended[run] = ended
	if !ended {
		m.found.keepRun(run)
	}
}

// archived reads the archived runs, while there is anything that they could
// spare.
func (m *marking) archived(ctx context.Context) error {
	runs, err := archive.Runs(ctx, m.c.Store)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if m.found.count == 0 {
			m.ended[run] = true
			continue
		}
		facts, err := archive.Read(ctx, m.c.Store, run)
		if errors.Is(err, archive.ErrDamaged) {
			return fmt.Errorf("what run %s refers to cannot be told, so nothing is removed: %w", run, err)
		}
		if err != nil {
			return err
		}
		if _, read := m.ended[run]; !read {
			m.run(run, history.RunHistory{Facts: facts})
			continue
		}
		for _, f := range facts { // a part of it is in the stream still
			m.mark(f.Body)
		}
	}
	return nil
}

// checkpoints forgets those that nobody will go on from.
func (c Collector) checkpoints(ctx context.Context, before time.Time, ended map[string]bool, report *Report) error {
	var over []checkpoint.Entry
	err := checkpoint.New(c.Bus).List(ctx, func(k checkpoint.Entry) error {
		if done, known := ended[k.Run]; k.Phase.Valid() && (done || !known) && k.Time.Before(before) {
			over = append(over, k)
		}
		return nil
	})
	for _, k := range over {
		if err != nil {
			break
		}
		if !c.DryRun {
			err = checkpoint.New(c.Bus).Delete(ctx, k.Run, k.Phase)
		}
		report.Checkpoints++
	}
	return err
}

// remove removes what is left of the candidates. One object that cannot be
// removed keeps no other.
func (c Collector) remove(ctx context.Context, found candidates, report *Report) error {
	var first error
	failed := 0
	for _, run := range slices.Sorted(maps.Keys(found.byRun)) {
		for _, key := range slices.Sorted(maps.Keys(found.byRun[run])) {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if !c.DryRun {
				if err := c.Store.Delete(ctx, key); err != nil && !errors.Is(err, artifact.ErrNotFound) {
					if first == nil {
						first = err
					}
					failed++
					continue
				}
			}
			c.tell(&report.Removed, Removed{Key: key, Bytes: found.byRun[run][key]})
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d objects were not removed, the first since: %w", failed, first)
	}
	return nil
}

// sweep removes what writers that died left behind.
func (c Collector) sweep(ctx context.Context, before time.Time, report *Report) error {
	for o, err := range c.Store.Leftovers(ctx, before) {
		if err == nil && !c.DryRun {
			err = c.Store.RemoveLeftover(ctx, o)
		}
		if err != nil {
			return err
		}
		c.tell(&report.Leftovers, Removed{Key: o.Key, Bytes: o.Size})
	}
	return nil
}

func (c Collector) tell(sum *Sum, one Removed) {
	sum.Count++
	sum.Bytes += one.Bytes
	if c.Told != nil {
		c.Told(one)
	}
}
