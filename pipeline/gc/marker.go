package gc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// sources are everything that can refer to an artifact.
type sources struct {
	requests interface {
		Pending(ctx context.Context, each func(run string, data json.RawMessage) error) error
	}
	deadLetters interface {
		List(ctx context.Context, each func(deadletter.Letter) error) error
	}
	runs interface {
		InStream(ctx context.Context) ([]string, error)
	}
	stream interface {
		RunHistory(ctx context.Context, run string) (history.RunHistory, error)
	}
	archive interface {
		Runs(ctx context.Context) ([]string, error)
		Read(ctx context.Context, run string) ([]history.StoredFact, error)
	}
}

// marker is the mark phase: it marks the candidates that are in use.
type marker struct {
	sources    sources
	storeID    string
	candidates *candidates
	report     *Report
	// ended has each run that was read, and whether it has ended.
	ended      map[string]bool
	references int // into this store
}

// markAll reads all sources. The order is important: a request is read before
// the run that it creates, and the stream before the archive that its runs are
// moved to, so that nothing can move past the marker. At last it reads the runs
// that were accepted during the phase.
func (m *marker) markAll(ctx context.Context) error {
	for _, step := range []func(context.Context) error{
		m.markRequests, m.markDeadLetters, m.markStream, m.markArchive, m.markStream,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (m *marker) markRequests(ctx context.Context) error {
	return m.sources.requests.Pending(ctx, func(run string, data json.RawMessage) error {
		m.candidates.markRun(run)
		m.markReferences(data)
		return nil
	})
}

func (m *marker) markDeadLetters(ctx context.Context) error {
	return m.sources.deadLetters.List(ctx, func(l deadletter.Letter) error {
		m.markReferences(l.Body)
		return nil
	})
}

// markReferences marks the objects that a text refers to. It reports whether the
// text is JSON.
func (m *marker) markReferences(text []byte) bool {
	err := eachReference(text, func(ref events.Reference) {
		if ref.Store != m.storeID {
			return
		}
		m.references++
		m.candidates.mark(ref.Key)
		if manifest.Is(ref) {
			m.candidates.markBelow(manifest.Prefix(ref))
		}
	})
	return err == nil
}

// markStream reads the runs in the stream that were not read before.
func (m *marker) markStream(ctx context.Context) error {
	runs, err := m.sources.runs.InStream(ctx)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if _, read := m.ended[run]; read {
			continue
		}
		h, err := m.sources.stream.RunHistory(ctx, run)
		if err != nil {
			return err
		}
		m.markRun(run, h)
	}
	return nil
}

// markRun marks the objects that a run refers to, and all objects of the run
// itself unless it is certain that it has ended.
func (m *marker) markRun(run string, h history.RunHistory) {
	m.report.Runs++
	state, unreadable := h.Run()
	ended := state.Completed != nil
	for _, f := range h.Facts {
		if !m.markReferences(f.Body) && unreadable == nil {
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
		m.candidates.markRun(run)
	}
}

// markArchive reads the archived runs as long as there are candidates.
func (m *marker) markArchive(ctx context.Context) error {
	runs, err := m.sources.archive.Runs(ctx)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if m.candidates.count == 0 {
			m.ended[run] = true
			continue
		}
		facts, err := m.sources.archive.Read(ctx, run)
		if errors.Is(err, archive.ErrDamaged) {
			return fmt.Errorf("the references of run %s are unknown, so nothing is removed: %w", run, err)
		}
		if err != nil {
			return err
		}
		if _, read := m.ended[run]; !read {
			m.markRun(run, history.RunHistory{Facts: facts})
			continue
		}
		for _, f := range facts { // the stream still has a part of the run
			m.markReferences(f.Body)
		}
	}
	return nil
}
