// Package losscurve reads the losses of a fine-tuning out of its metric history.
//
//	curve, err := losscurve.Read(ctx, open)
//
// A history may have millions of steps. A curve keeps at most [MaxPoints] of each
// loss, evenly apart, and says of how many.
package losscurve

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/tunebus/tunebus/events"
)

// MaxPoints is the largest number of points of a series.
const MaxPoints = 2000

// The keys of the metric history.
const (
	keyTraining   = "loss"
	keyValidation = "eval_loss"
)

// Opener opens the metric history, one [events.Point] as JSON a line, from its
// beginning.
type Opener func(ctx context.Context) (io.ReadCloser, error)

// Curve is the losses of a fine-tuning.
type Curve struct {
	Training, Validation Series
}

// Point is one loss.
type Point struct {
	Step int64
	Loss float64
}

// Series is one loss over the steps.
type Series struct {
	// Points are in the order of the steps. The last one of the history is
	// always among them.
	Points []Point
	// Total is the number of points in the history.
	Total int

	every int // only each such point is kept
	last  Point
}

// Read reads the whole history once. It ends at the first line that is no point,
// with what it read and an error.
func Read(ctx context.Context, open Opener) (Curve, error) {
	var c Curve
	source, err := open(ctx)
	if err != nil {
		return c, fmt.Errorf("open the metric history: %w", err)
	}
	lines := bufio.NewScanner(source)
	for n := 1; lines.Scan() && err == nil; n++ {
		var p events.Point
		if err = json.Unmarshal(lines.Bytes(), &p); err != nil {
			err = fmt.Errorf("metric history: line %d: %w", n, err)
			break
		}
		switch p.Key {
		case keyTraining:
			c.Training.add(Point{Step: p.Step, Loss: p.Value})
		case keyValidation:
			c.Validation.add(Point{Step: p.Step, Loss: p.Value})
		}
		err = ctx.Err()
	}
	c.Training.end()
	c.Validation.end()
	return c, errors.Join(err, lines.Err(), source.Close())
}

func (s *Series) add(p Point) {
	s.every = max(1, s.every)
	if s.Total%s.every == 0 {
		if len(s.Points) == MaxPoints-1 { // one place is left for the last point
			s.halve()
		}
		if s.Total%s.every == 0 {
			s.Points = append(s.Points, p)
		}
	}
	s.Total++
	s.last = p
}

// halve keeps every second point.
func (s *Series) halve() {
	for i := range s.Points {
		if i%2 == 0 {
			s.Points[i/2] = s.Points[i]
		}
	}
	s.Points = s.Points[:(len(s.Points)+1)/2]
	s.every *= 2
}

// end adds the last point.
func (s *Series) end() {
	if n := len(s.Points); n > 0 && s.Points[n-1] != s.last {
		s.Points = append(s.Points, s.last)
	}
}
