package gc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/artifact/content"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
)

// scope is what a collection looks at: everything, or what some deleted runs made
// and refer to.
type scope struct {
	runs    []string // nil: everything
	content map[string]bool
	// total is what was found of it.
	total Sum
}

// has reports whether an object is in the scope.
func (s *scope) has(key string) bool {
	if s.runs == nil {
		return true
	}
	if sum, ok := content.Digest(key); ok {
		return s.content[sum]
	}
	run, ok := runOf(key)
	return ok && slices.Contains(s.runs, run)
}

// isOwn reports whether no other deployment can have an object of this key: that of a run whose id
// intake made, which no other intake makes. Content, and the objects of a run whose
// id a person chose, may be those of several.
func isOwn(key string) bool {
	run, ok := runOf(key)
	if !ok {
		return false
	}
	const digits, bytes = "0123456789ABCDEFGHJKMNPQRSTVWXYZ", 26 // of a ULID
	return len(run) == bytes && strings.Trim(run, digits) == ""
}

// readScope finds what the runs of the options refer to: content, and what was left
// of runs that were deleted before, because these runs used it.
func (c *Collector) readScope(ctx context.Context) (*scope, error) {
	s := &scope{runs: c.opts.Runs, content: map[string]bool{}}
	if s.runs == nil {
		return s, nil
	}
	deleted, err := c.sources.runs.Deleted(ctx)
	if err != nil {
		return nil, err
	}
	for _, run := range c.opts.Runs {
		bodies, err := c.sources.bodies(ctx, run)
		if err != nil {
			return nil, err
		}
		for _, body := range bodies {
			if err := s.add(ctx, c, body, deleted); err != nil {
				return nil, err
			}
		}
	}
	return s, nil
}

// add adds what a fact refers to: content with the files of folders, and the deleted
// runs that made the rest. A folder whose manifest is gone has no files that anybody
// can find.
func (s *scope) add(ctx context.Context, c *Collector, body []byte, deleted []string) (err error) {
	_ = eachReference(body, func(ref events.Reference) { // a fact that is no JSON refers to nothing
		run, made := runOf(ref.Key)
		if _, isDeleted := slices.BinarySearch(deleted, run); made && isDeleted && ref.Store == c.store.ID() && !slices.Contains(s.runs, run) {
			s.runs = append(slices.Clip(s.runs), run)
		}
		sum, isContent := content.Digest(ref.Key)
		if err != nil || ref.Store != c.store.ID() || !isContent || s.content[sum] {
			return
		}
		s.content[sum] = true
		if !manifest.Is(ref) {
			return
		}
		list, readErr := c.manifest(ctx, ref)
		if _, away := errors.AsType[*artifact.UnavailableError](readErr); away || ctx.Err() != nil {
			err = fmt.Errorf("the files of folder %s are unknown, so nothing is removed: %w", ref.Key, readErr)
			return
		}
		for _, f := range list.Files {
			if sum, ok := content.Digest(list.Reference(ref, f).Key); ok {
				s.content[sum] = true
			}
		}
	})
	return err
}

// bodies reads the facts of a run, those of the stream and those of its archive.
func (s sources) bodies(ctx context.Context, run string) ([][]byte, error) {
	h, err := s.stream.RunHistory(ctx, run)
	if err != nil {
		return nil, err
	}
	archived, err := s.archive.Read(ctx, run)
	if err != nil {
		return nil, err
	}
	var bodies [][]byte
	for _, f := range append(h.Facts, archived...) {
		bodies = append(bodies, f.Body)
	}
	return bodies, nil
}
