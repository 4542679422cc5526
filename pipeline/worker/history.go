package worker

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// systemPrefix stands before the keys of samples of the machine, which count
// their own steps.
const systemPrefix = "system/"

// spot is a place of a metric's chart.
type spot struct {
	key  string
	step int64
}

// inherit takes the metric history of the attempts before over: what the file
// holds, and behind it what was announced since. Of a metric's step the point
// that was published first counts.
func (m *meter) inherit(ctx context.Context, resumed int64) error {
	m.had = map[spot]bool{}
	if err := m.readFile(resumed); err != nil {
		return err
	}
	var late []events.Point
	err := m.announcedPoints(ctx, func(p events.Point) {
		at := spot{p.Key, p.Step}
		if system := strings.HasPrefix(p.Key, systemPrefix); m.had[at] || !system && p.Step < resumed {
			return
		}
		m.note(p)
		m.had[at] = true
		late = append(late, p)
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		// Points may be lost; repeated steps then get this attempt's.
		m.worker.log(ctx, slog.LevelWarn, m.claim, "points of the attempts before not read", "error", err)
	}
	return m.write(late)
}

// announcedPoints calls each for every point that was announced, each metric's
// in the stream's order.
func (m *meter) announcedPoints(ctx context.Context, each func(events.Point)) error {
	return history.New(m.worker.bus).Metrics(m.claim.req.RunID, m.claim.req.Phase).Read(ctx, func(ev events.Event) {
		switch e := ev.(type) {
		case events.Progress:
			for _, p := range e.Points {
				each(p)
			}
		case events.Telemetry:
			for _, p := range e.Points {
				p.Key = systemPrefix + p.Key
				each(p)
			}
		}
	})
}

// agree makes the finished history say what everybody heard. An attempt that
// had lost the job may have gone on for a moment without knowing, and announced
// steps before this one did, but after this one had looked what there was. Of a
// metric's step the point that was announced first counts.
func (m *meter) agree(ctx context.Context) error {
	first := map[spot]events.Point{}
	err := m.announcedPoints(ctx, func(p events.Point) {
		if at := (spot{p.Key, p.Step}); first[at].Key == "" {
			first[at] = p
		}
	})
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		m.worker.log(ctx, slog.LevelWarn, m.claim, "points that were announced not read; the history may differ from what was seen on the way", "error", err)
		return nil
	}
	path, err := m.scratch.path(metricsFile)
	if err != nil {
		return err
	}
	if err := rewrite(path, first); err != nil {
		return fmt.Errorf("metric history: %w", err)
	}
	return nil
}

// rewrite replaces the points of a history by those of first, and adds what it
// does not have.
func rewrite(path string, first map[spot]events.Point) (err error) {
	from, err := os.Open(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err == nil {
		defer from.Close()
	}
	to, err := os.Create(path + ".new")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	out := bufio.NewWriter(to)
	enc := json.NewEncoder(out)
	for dec := json.NewDecoder(from); from != nil; {
		var p events.Point
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		at := spot{p.Key, p.Step}
		if f, ok := first[at]; ok {
			p = f
			delete(first, at)
		}
		if err := enc.Encode(p); err != nil {
			return err
		}
	}
	rest := slices.SortedFunc(maps.Values(first), func(a, b events.Point) int { return cmp.Or(a.Time.Compare(b.Time), cmp.Compare(a.Key, b.Key)) })
	for _, p := range rest {
		if err := enc.Encode(p); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// readFile notes the points that the checkpoint's history holds, as far as
// they may come again: those of its last step, and the samples of the machine.
func (m *meter) readFile(resumed int64) error {
	path, err := m.scratch.path(metricsFile)
	if err != nil {
		return err
	}
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("metric history: %w", err)
	}
	defer f.Close()
	for dec := json.NewDecoder(f); ; m.lines++ {
		var p events.Point
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("metric history: line %d: %w", m.lines+1, err)
		}
		m.note(p)
		if p.Step >= resumed || strings.HasPrefix(p.Key, systemPrefix) {
			m.had[spot{p.Key, p.Step}] = true
		}
	}
}

// note counts on behind the samples of the machine.
func (m *meter) note(p events.Point) {
	if strings.HasPrefix(p.Key, systemPrefix) {
		m.sample = max(m.sample, p.Step+1)
	}
}

// fresh leaves out what the attempts before have announced.
func (m *meter) fresh(points []events.Point) []events.Point {
	if len(m.had) == 0 {
		return points
	}
	var out []events.Point
	for _, p := range points {
		if !m.had[spot{p.Key, p.Step}] {
			out = append(out, p)
		}
	}
	return out
}
