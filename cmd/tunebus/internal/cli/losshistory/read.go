package losshistory

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/metrics"
)

// The keys of the points that an engine reports.
const (
	keyTraining   = "loss"
	keyValidation = "eval_loss"
)

// Curves are the losses of a fine-tuning; nil where there are none.
type Curves struct {
	Training   *Curve `json:"training,omitempty"`
	Validation *Curve `json:"validation,omitempty"`
}

// add adds a point of any metric.
func (c *Curves) add(p events.Point) {
	curve := &c.Training
	switch p.Key {
	case keyTraining:
	case keyValidation:
		curve = &c.Validation
	default:
		return
	}
	if *curve == nil {
		*curve = &Curve{}
	}
	(*curve).add(p.Step, p.Value)
}

// Read reads the losses of a run. open opens the artifact store, which is only needed
// for a phase that has ended with a metric history.
func Read(ctx context.Context, b *conn.Conn, open func(context.Context) (*artifact.Store, error), run events.Run) (Curves, error) {
	state := run.Phases[events.Finetune]
	if state == nil || len(state.Attempts) == 0 {
		return Curves{}, nil
	}
	if state.Completed != nil {
		if ref, ok := state.Completed.Artifact(events.ArtifactMetrics); ok {
			store, err := open(ctx)
			if err != nil {
				return Curves{}, err
			}
			return stored(ctx, store, ref)
		}
	}
	return published(ctx, b, run.ID)
}

// stored reads a metric history.
func stored(ctx context.Context, store *artifact.Store, ref events.Reference) (curves Curves, err error) {
	if ref.Store != store.ID() {
		return curves, fmt.Errorf("the metric history lies in store %s, this is store %s", ref.Store, store.ID())
	}
	r, err := store.Get(ctx, ref)
	if err != nil {
		return curves, err
	}
	defer func() { _ = r.Close() }() // it was read to its end, or the error says more
	lines := bufio.NewScanner(r)
	for n := 1; lines.Scan(); n++ {
		var p events.Point
		if err := json.Unmarshal(lines.Bytes(), &p); err != nil {
			return curves, fmt.Errorf("metric history, line %d: %w", n, err)
		}
		curves.add(p)
	}
	return curves, lines.Err()
}

// published reads the points that the stream still holds.
func published(ctx context.Context, b *conn.Conn, run string) (curves Curves, err error) {
	known := metrics.Steps{}
	err = history.New(b).ReadMetrics(ctx, run, events.Finetune, func(ev events.Event) {
		p, ok := ev.(events.Progress)
		if !ok {
			return
		}
		for _, point := range p.Points {
			if (point.Key == keyTraining || point.Key == keyValidation) && known.Add(point.Key, point.Step) {
				curves.add(point)
			}
		}
	})
	return curves, err
}
