// Package layout is what commands put on a server: the queues, and the size of a bucket.
//
//	topology.Apply(ctx, b, topology.Topology{Queues: layout.Queues(settings)})
package layout

import (
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Queues returns the queues that a server gets: the usual ones, and those that
// the settings' workers take jobs from.
func Queues(s settings.Settings) map[events.Phase][]string {
	out := topology.DefaultQueues()
	for _, p := range events.Phases() {
		if queue := s.Worker(p).Queue; !slices.Contains(out[p], queue) {
			out[p] = append(out[p], queue)
		}
	}
	return out
}

// ObjectBytes bounds the bucket of an artifact store in NATS.
const ObjectBytes = 8 << 30
