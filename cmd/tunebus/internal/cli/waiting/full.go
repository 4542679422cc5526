package waiting

import (
	"context"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
)

// fullAt is the default of the setting intake.full_at: how full the stream of facts is, from
// 0 to 1, when intake admits no further runs.
const fullAt = 0.8

// Full says that intake leaves requests waiting, since the stream of facts is nearly full, and
// what helps; empty if it is not, or if that is not known.
func Full(ctx context.Context, b *conn.Conn) string {
	usage, err := topology.NewInspector(b).StreamUsage(ctx, events.StreamFacts)
	if err != nil || usage < fullAt {
		return ""
	}
	return fmt.Sprintf("the stream of facts, %s, is %.0f %% full, and intake admits no further runs: \"tunebus archive\" takes ended runs out of it, or raise its limit", events.StreamFacts, 100*usage)
}
