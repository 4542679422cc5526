package checkpointing_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/checkpointing"
)

type folder string

func (f folder) Path(name string) (string, error) { return filepath.Join(string(f), name), nil }

func checkpointAt(step int64, before ...checkpoint.Checkpoint) checkpoint.Checkpoint {
	return checkpoint.Checkpoint{Attempt: 1, Step: step, Reference: events.Reference{Key: "k"}, Before: before}
}

// TestLoaderFetch: the newest checkpoint that verifies is used. A store that
// cannot be read is an error, since starting over would waste the work.
func TestLoaderFetch(t *testing.T) {
	t.Parallel()
	damaged, gone := &artifact.CorruptError{Key: "k"}, artifact.ErrNotFound
	elsewhere, away := &artifact.WrongStoreError{}, &artifact.UnavailableError{Err: errors.New("away")}
	for name, c := range map[string]struct {
		newest checkpoint.Checkpoint
		errs   map[string]error // by folder name
		step   int64
		notes  int
		err    error
	}{
		"none":              {checkpoint.Checkpoint{}, nil, 0, 0, nil},
		"newest":            {checkpointAt(8, checkpointAt(4)), nil, 8, 0, nil},
		"newest is damaged": {checkpointAt(8, checkpointAt(4)), map[string]error{"resume-8": damaged}, 4, 1, nil},
		"all are gone":      {checkpointAt(8, checkpointAt(4)), map[string]error{"resume-8": gone, "resume-4": gone}, 0, 2, nil},
		"another store":     {checkpointAt(8), map[string]error{"resume-8": elsewhere}, 0, 1, nil},
		"store away":        {checkpointAt(8, checkpointAt(4)), map[string]error{"resume-8": away}, 0, 0, away},
	} {
		dir := folder(t.TempDir())
		fetched, err := checkpointing.NewLoader(job(), &registry{}).Fetch(t.Context(), c.newest, dir,
			func(_ context.Context, _ events.Reference, to string) error {
				if err := c.errs[filepath.Base(to)]; err != nil {
					return fmt.Errorf("fetch to %s: %w", to, err)
				}
				return nil
			})
		if !errors.Is(err, c.err) || c.err == nil && err != nil || fetched.Step != c.step || len(fetched.Notes) != c.notes {
			t.Errorf("%s: %+v, %v", name, fetched, err)
		}
		if (fetched.Dir != "") != (c.step > 0) {
			t.Errorf("%s: folder %q", name, fetched.Dir)
		}
		if c.notes > 0 && (!strings.Contains(fetched.Notes[0], "step 8 could not be used") || strings.Contains(fetched.Notes[0], string(dir))) {
			t.Errorf("%s: notes %q", name, fetched.Notes)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("the run was cancelled")
	cancel(stop)
	_, err := checkpointing.NewLoader(job(), &registry{}).Fetch(ctx, checkpointAt(8), folder(t.TempDir()),
		func(context.Context, events.Reference, string) error { return away })
	if !errors.Is(err, stop) {
		t.Errorf("cancelled: %v", err)
	}
}

// TestLoaderClaim: only a newer attempt is an error.
func TestLoaderClaim(t *testing.T) {
	t.Parallel()
	seen := checkpointAt(4)
	fenced := &checkpoint.SupersededError{Key: "r.finetune"}
	for name, c := range map[string]struct {
		registry registry
		step     int64
		err      error
	}{
		"newer one":         {registry{newest: checkpointAt(8)}, 8, nil},
		"gone":              {registry{}, 0, nil},
		"registry away":     {registry{err: errors.New("away")}, 4, nil},
		"a newer attempt's": {registry{err: fenced}, 0, fenced},
	} {
		cp, err := checkpointing.NewLoader(job(), &c.registry).Claim(t.Context(), seen)
		if !errors.Is(err, c.err) || c.err == nil && err != nil || err == nil && cp.Step != c.step {
			t.Errorf("%s: step %d, %v", name, cp.Step, err)
		}
	}
}

// TestLatest: no checkpoint is no error.
func TestLatest(t *testing.T) {
	t.Parallel()
	if cp, err := checkpointing.Latest(t.Context(), &registry{}, "r", events.Finetune); err != nil || cp.Step != 0 {
		t.Errorf("%+v, %v", cp, err)
	}
	away := errors.New("away")
	if _, err := checkpointing.Latest(t.Context(), &registry{err: away}, "r", events.Finetune); !errors.Is(err, away) {
		t.Errorf("%v", err)
	}
}
