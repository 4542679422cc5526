package gc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/archive"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/content"
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
		Deleted(ctx context.Context) ([]string, error)
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
	ended map[string]bool
	// deleted are the runs whose references do not count, needed are those that a
	// pending request repeats.
	deleted, needed map[string]bool
	references      int // into this store
	// ofRuns is set if only what deleted runs have is collected.
	ofRuns bool
	// manifest reads the manifest of a folder; folders has the digests of those
	// that were read.
	manifest func(ctx context.Context, ref events.Reference) (manifest.Manifest, error)
	folders  map[string]bool
}

// markAll reads all sources. The order is important: a request is read before
// the run that it creates, and the stream before the archive that its runs are
// moved to, so that nothing can move past the marker. At last it reads the runs
// that were accepted during the phase. more are deleted runs, also if nothing says
// so yet.
func (m *marker) markAll(ctx context.Context, more []string) error {
	deleted, err := m.sources.runs.Deleted(ctx)
	if err != nil {
		return err
	}
	m.deleted = map[string]bool{}
	for _, run := range append(deleted, more...) {
		m.deleted[run] = true
	}
	for _, step := range []func(context.Context) error{
		m.markRequests, m.markNeeded, m.markDeadLetters, m.markStream, m.markArchive, m.markStream,
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
		var request events.PipelineRequested
		if json.Unmarshal(data, &request) == nil && request.RerunOf != "" {
			m.needed[request.RerunOf] = true
		}
		_, err := m.markReferences(ctx, "", data)
		return err
	})
}

// markNeeded marks what a run has that is deleted while a pending request repeats
// it: intake may have read it before.
func (m *marker) markNeeded(ctx context.Context) error {
	for run := range m.needed {
		if !m.deleted[run] || !events.ValidToken(run) {
			continue
		}
		bodies, err := m.sources.bodies(ctx, run)
		if err != nil {
			return err
		}
		m.candidates.markRun(run)
		for _, body := range bodies {
			if _, err := m.markReferences(ctx, "", body); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *marker) markDeadLetters(ctx context.Context) error {
	return m.sources.deadLetters.List(ctx, func(l deadletter.Letter) error {
		if m.deleted[l.Run] {
			return nil
		}
		_, err := m.markReferences(ctx, "", l.Body)
		return err
	})
}

// markReferences marks the objects that a text of a run refers to, or of no run.
// It reports whether the text is JSON.
func (m *marker) markReferences(ctx context.Context, run string, text []byte) (isJSON bool, err error) {
	before := m.candidates.used
	defer func() {
		if m.ofRuns && run != "" && m.candidates.used > before && !slices.Contains(m.report.UsedBy, run) {
			m.report.UsedBy = append(m.report.UsedBy, run)
		}
	}()
	syntax := eachReference(text, func(ref events.Reference) {
		if ref.Store != m.storeID || err != nil {
			return
		}
		m.references++
		m.candidates.mark(ref.Key)
		if manifest.Is(ref) {
			err = m.markFolder(ctx, ref)
		}
	})
	return syntax == nil, err
}

// markFolder marks the files of a folder. Those of a run's folder lie below its
// own prefix. Those of uploaded folders are known by the manifest alone, so
// nothing is removed while it cannot be read; if it is damaged or gone, nobody
// can open the folder.
func (m *marker) markFolder(ctx context.Context, ref events.Reference) error {
	sum, isContent := content.Digest(ref.Key)
	if !isContent {
		m.candidates.markBelow(manifest.Prefix(ref))
		return nil
	}
	if m.folders[sum] || len(m.candidates.content)+len(m.candidates.young) == 0 {
		return nil
	}
	m.folders[sum] = true
	list, err := m.manifest(ctx, ref)
	if _, away := errors.AsType[*artifact.UnavailableError](err); away || ctx.Err() != nil {
		return fmt.Errorf("the files of folder %s are unknown, so nothing is removed: %w", ref.Key, err)
	}
	for _, f := range list.Files {
		m.candidates.mark(list.Reference(ref, f).Key)
	}
	return nil
}

// markStream reads the runs in the stream that were not read before.
func (m *marker) markStream(ctx context.Context) error {
	runs, err := m.sources.runs.InStream(ctx)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if _, read := m.ended[run]; read || m.deleted[run] {
			continue
		}
		h, err := m.sources.stream.RunHistory(ctx, run)
		if err != nil {
			return err
		}
		if err := m.markRun(ctx, run, h); err != nil {
			return err
		}
	}
	return nil
}

// markRun marks the objects that a run refers to, and all objects of the run
// itself unless it is certain that it has ended.
func (m *marker) markRun(ctx context.Context, run string, h history.RunHistory) error {
	m.report.Runs++
	state, unreadable := h.Run()
	ended := state.Completed != nil
	for _, f := range h.Facts {
		isJSON, err := m.markReferences(ctx, run, f.Body)
		if err != nil {
			return err
		}
		if !isJSON && unreadable == nil {
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
	return nil
}

// markArchive reads the archived runs as long as there are candidates.
func (m *marker) markArchive(ctx context.Context) error {
	runs, err := m.sources.archive.Runs(ctx)
	if err != nil {
		return err
	}
	for _, run := range runs {
		if m.deleted[run] {
			continue
		}
		if m.candidates.count == 0 && len(m.candidates.young) == 0 {
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
			if err := m.markRun(ctx, run, history.RunHistory{Facts: facts}); err != nil {
				return err
			}
			continue
		}
		for _, f := range facts { // the stream still has a part of the run
			if _, err := m.markReferences(ctx, run, f.Body); err != nil {
				return err
			}
		}
	}
	return nil
}
