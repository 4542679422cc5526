package metrics

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/scratch"
)

func keyOf(p events.Point) pointKey { return pointKey{p.Key, p.Step} }

// isSystem reports whether a point is a sample of the machine. Samples count
// their own steps, apart from the engine's.
func isSystem(p events.Point) bool { return strings.HasPrefix(p.Key, events.SystemMetricPrefix) }

// inherit takes over the history of the earlier attempts: the points of the
// checkpoint's file, and then those that were published since.
func (r *Recorder) inherit(ctx context.Context) error {
	if r.cfg.Checkpoint != "" {
		if err := restore(r.cfg.Checkpoint, r.cfg.Folder); err != nil {
			return err
		}
	}
	r.known = Steps{}
	resumed := r.cfg.ResumedFrom
	err := r.file.load(func(p events.Point) {
		r.countSample(p)
		// Only the last step of a checkpoint and the samples can be repeated.
		if p.Step >= resumed || isSystem(p) {
			r.known.Add(p.Key, p.Step)
		}
	})
	if err != nil {
		return err
	}
	var missing []events.Point
	err = r.eachPublished(ctx, func(p events.Point) {
		if !isSystem(p) && p.Step < resumed || !r.known.Add(p.Key, p.Step) {
			return
		}
		r.countSample(p)
		missing = append(missing, p)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		// Points may be lost. Repeated steps then get the points of this attempt.
		r.cfg.Logger.WarnContext(ctx, "metric points of earlier attempts not read", "error", err)
	}
	return r.file.append(missing)
}

// restore moves the metric history out of a checkpoint that was unpacked in dir
// into the folder, where [historyFile.load] finds it. A checkpoint without one is
// no error.
func restore(dir string, folder scratch.Paths) error {
	path, err := folder.Path(FileName)
	if err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(dir, FileName), path); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("metric history of the checkpoint: %w", err)
	}
	return nil
}

// countSample makes the next sample's number follow those of the history.
func (r *Recorder) countSample(p events.Point) {
	if isSystem(p) {
		r.nextSample = max(r.nextSample, p.Step+1)
	}
}

// eachPublished calls each for every point that was published and counts, those of
// one metric in the stream's order.
func (r *Recorder) eachPublished(ctx context.Context, each func(events.Point)) error {
	var samples Samples
	return r.cfg.Reader.ReadMetrics(ctx, r.cfg.RunID, r.cfg.Phase, func(ev events.Event) {
		if !samples.Count(ev) {
			return
		}
		switch e := ev.(type) {
		case events.Progress:
			for _, p := range e.Points {
				each(p)
			}
		case events.Telemetry:
			for _, p := range e.Points {
				p.Key = events.SystemMetricPrefix + p.Key
				each(p)
			}
		}
	})
}

// reconcileWithStream makes the finished history agree with the stream, which
// the tracker reads. An attempt that lost the job may have worked on for a
// moment without knowing. It may have published steps before this attempt did,
// but after this attempt read the stream. The point that was published first
// counts.
func (r *Recorder) reconcileWithStream(ctx context.Context) error {
	first := map[pointKey]events.Point{}
	err := r.eachPublished(ctx, func(p events.Point) {
		if _, ok := first[keyOf(p)]; !ok {
			first[keyOf(p)] = p
		}
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		r.cfg.Logger.WarnContext(ctx, "published metric points not read; the history may differ from the live metrics", "error", err)
		return nil
	}
	path, err := r.cfg.Folder.Path(FileName)
	if err != nil {
		return err
	}
	if err := rewrite(path, first); err != nil {
		return fmt.Errorf("metric history: %w", err)
	}
	return nil
}

// rewrite replaces points of a history by those of first with the same key, and
// adds the points of first that the history lacks.
func rewrite(path string, first map[pointKey]events.Point) (err error) {
	to, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	out := bufio.NewWriter(to)
	enc := json.NewEncoder(out)
	if err := replacePoints(path, first, enc); err != nil {
		return err
	}
	missing := slices.SortedFunc(maps.Values(first), func(a, b events.Point) int {
		return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Key, b.Key))
	})
	for _, p := range missing {
		if err := enc.Encode(p); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// replacePoints writes the points of a history, if there is one, to enc. If first
// has a point with the same key, that one is written instead and removed from
// first.
func replacePoints(path string, first map[pointKey]events.Point, enc *json.Encoder) error {
	from, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer from.Close()
	for dec := json.NewDecoder(from); ; {
		var p events.Point
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if f, ok := first[keyOf(p)]; ok {
			p = f
			delete(first, keyOf(p))
		}
		if err := enc.Encode(p); err != nil {
			return err
		}
	}
}
