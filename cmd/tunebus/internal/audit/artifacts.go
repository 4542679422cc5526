package audit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"

	"github.com/tunebus/tunebus/events"
)

// references wants every artifact that the run refers to.
func (c *check) references(r *story) {
	named := map[events.Reference]string{} // and who refers to it
	name := func(f fact, refs ...*events.Reference) {
		for _, ref := range refs {
			if ref != nil {
				named[*ref] = f.Subject
			}
		}
	}
	for _, f := range r.facts {
		switch e := f.what.(type) {
		case events.PipelineAccepted:
			name(f, pointers(e.Inputs)...)
		case events.PhaseRequested:
			name(f, pointers(e.Inputs)...)
		case events.PhaseCompleted:
			for _, a := range e.Artifacts {
				name(f, &a.Reference)
			}
		}
	}
	for ref, by := range named {
		c.refs[ref.Key] = true
		object, ok := c.state.Artifacts[ref.Key]
		switch {
		case ref.Store != c.state.Store:
			c.add(Torn, ref.Key, "%s says that it lies in store %s", by, ref.Store)
		case !ok:
			c.add(Lost, ref.Key, "%s refers to it", by)
		case object.Size != ref.Size || object.SHA256 != ref.SHA256:
			c.add(Torn, ref.Key, "has %d bytes with SHA-256 %s; %s says %d and %s", object.Size, object.SHA256, by, ref.Size, ref.SHA256)
		}
	}
}

func pointers(in events.Inputs) []*events.Reference {
	refs := []*events.Reference{in.Model, in.Predictions, in.BaselinePredictions}
	for _, f := range in.Files {
		refs = append(refs, &f)
	}
	return refs
}

// history reads the metric history that a completed phase stored: of each
// metric the points by step. It wants every step once, and, of what is learned
// from, all of them.
func (c *check) history(r *story, p events.Phase, done events.PhaseCompleted) map[string]map[int64]Point {
	ref, ok := done.Artifact(metricsName)
	if !ok {
		return nil
	}
	out := map[string]map[int64]Point{}
	dec := json.NewDecoder(bytes.NewReader(c.state.Artifacts[ref.Key].Content))
	for {
		var point events.Point
		if err := dec.Decode(&point); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			c.add(Torn, ref.Key, "cannot be read: %v", err)
			break
		}
		of := out[point.Key]
		if of == nil {
			of = map[int64]Point{}
			out[point.Key] = of
		}
		if _, had := of[point.Step]; had {
			c.add(Duplicated, ref.Key, "has step %d of %s twice", point.Step, point.Key)
		}
		of[point.Step] = Point{Value: point.Value, Step: point.Step, Time: point.Time.UnixMilli()}
	}
	if p == events.Finetune && r.accepted.Specification.FineTuner.LogSteps == 1 {
		for step := int64(1); step <= int64(done.Statistics["total_training_steps"]); step++ {
			if _, ok := out["loss"][step]; !ok {
				c.add(Lost, ref.Key, "has no step %d of loss", step)
			}
		}
	}
	return out
}

// metricsName is the role of the metric history among a phase's artifacts.
const metricsName = "metrics"

// remains wants nothing to be left.
func (c *check) remains() {
	for _, key := range slices.Sorted(maps.Keys(c.state.Artifacts)) {
		if !c.refs[key] {
			c.add(Left, key, "is an artifact that nobody refers to")
		}
	}
	for _, bucket := range []string{"tunebus_checkpoints", "tunebus_leases"} {
		if _, ok := c.state.Keys[bucket]; !ok {
			c.add(Lost, bucket, "the bucket is gone")
		}
		for _, key := range c.state.Keys[bucket] {
			c.add(Left, bucket+"/"+key, "is a key that its owner should have removed")
		}
	}
	for _, what := range c.state.Left {
		c.add(Left, what, "should not be there")
	}
}
