package llm

import "math/rand/v2"

// firstEpoch is the stream of the order of the first epoch.
const firstEpoch = 1000

// rowOrder is the order in which a training reads its examples: shuffled once by the
// seed, and the same in every epoch, as the trainers of other engines read them.
type rowOrder struct {
	examples usable
	cfg      TrainConfig
	// reshuffled says that each epoch has an order of its own. A training that an
	// earlier version began has that to its end.
	reshuffled bool
}

func (t *trainer) order(examples usable) rowOrder { return rowOrder{examples, t.cfg, t.reshuffled} }

// epoch returns the batches of an epoch.
func (o rowOrder) epoch(epoch int64) [][]int {
	stream := uint64(firstEpoch)
	if o.reshuffled {
		stream += uint64(epoch)
	}
	order := rand.New(rand.NewPCG(uint64(o.cfg.Seed), stream)).Perm(o.examples.len())
	var out [][]int
	for len(order) > 0 {
		n := min(o.cfg.BatchSize, len(order))
		out = append(out, order[:n])
		order = order[n:]
	}
	return out
}

// tokensBefore is how many tokens the steps before a resume have read.
func (o rowOrder) tokensBefore(step, perEpoch int64) int64 {
	n := int64(0)
	for at := int64(0); at < step; at += perEpoch {
		batches := o.epoch(at / perEpoch)
		for _, batch := range batches[:min((step-at)*int64(o.cfg.GradAccumulation), int64(len(batches)))] {
			for _, i := range batch {
				n += int64(o.examples.tokens(i))
			}
		}
	}
	return n
}
