package opscmd

import (
	"context"
	"fmt"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// copies is a number of copies for a person.
func copies(n int) string {
	if n == 1 {
		return "1 copy"
	}
	return events.Count(n) + " copies"
}

// copiesOfBuckets adds to the finding about the buckets, all of which are there, how many
// copies each has. One that is lost with its server stops the runs of all others.
func copiesOfBuckets(ctx context.Context, b *conn.Conn, f view.Finding) view.Finding {
	inspector := topology.NewInspector(b)
	facts, err := inspector.Stream(ctx, events.StreamFacts)
	if err != nil || !facts.Clustered && facts.Copies == 1 {
		return f // the row of the stream says why
	}
	f.Says += ", " + copies(facts.Copies)
	for _, bucket := range []string{topology.BucketCheckpoints, topology.BucketLeases} {
		state, err := inspector.Stream(ctx, "KV_"+bucket)
		switch {
		case err != nil:
			f.State, f.Says = view.StateLook, err.Error()
			return f
		case state.Copies < facts.Copies:
			f.State = view.StateLook
			f.Says = fmt.Sprintf("all are there, but %s has %s, and stream %s has %d", bucket, copies(state.Copies), events.StreamFacts, facts.Copies)
			f.Do = fmt.Sprintf(`"tunebus setup --replicas %d" makes more`, facts.Copies)
			return f
		}
	}
	return f
}
