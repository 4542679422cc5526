package session

import (
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/settings"
)

// Workers returns the settings of the workers of each phase.
func Workers(s settings.Settings) map[events.Phase]settings.Worker {
	return map[events.Phase]settings.Worker{
		events.Finetune:   s.Finetune,
		events.Inference:  s.Inference.Worker(),
		events.Evaluation: s.Evaluation.Worker(),
	}
}

// Queues returns the queues that a server gets: the usual ones, and those that
// the settings' workers take jobs from.
func Queues(s settings.Settings) map[events.Phase][]string {
	out := topology.DefaultQueues()
	for p, w := range Workers(s) {
		if !slices.Contains(out[p], w.Queue) {
			out[p] = append(out[p], w.Queue)
		}
	}
	return out
}

// ObjectBytes bounds the bucket of an artifact store in NATS.
const ObjectBytes = 8 << 30
