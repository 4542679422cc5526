package phase

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"

	"github.com/tunebus/tunebus/events"
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
	take := func(p events.Point) {
		at := spot{p.Key, p.Step}
		if system := strings.HasPrefix(p.Key, systemPrefix); m.had[at] || !system && p.Step < resumed {
			return
		}
		m.note(p)
		m.had[at] = true
		late = append(late, p)
	}
	err := m.worker.bus.Announced(ctx, m.claim.req.RunID, m.claim.req.Phase, func(ev events.Event) {
		switch e := ev.(type) {
		case events.Progress:
			for _, p := range e.Points {
				take(p)
			}
		case events.Telemetry:
			for _, p := range e.Points {
				p.Key = systemPrefix + p.Key
				take(p)
			}
		}
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
