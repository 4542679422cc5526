package llm

import (
	"runtime"
	"runtime/metrics"
)

// leastSlack is what Go lets lie in any case.
const leastSlack = 4 << 20

// slack is how much memory that is not used any more a training lets lie beside so much
// that is used. Go would let as much lie as is used, which a training of large models
// cannot afford, and a collection takes little time: the numbers have no pointers.
func slack(used int64) int64 {
	const share = 16
	return max(leastSlack, used/share)
}

// garbage has what is not used any more collected.
type garbage struct{ samples []metrics.Sample }

func newGarbage() *garbage {
	return &garbage{[]metrics.Sample{{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/heap/objects:bytes"}}}
}

// collect collects what was left by the reading of weights, or by earlier steps, if
// it is more than slack.
func (g *garbage) collect() {
	metrics.Read(g.samples)
	live, all := int64(g.samples[0].Value.Uint64()), int64(g.samples[1].Value.Uint64())
	if all-live > slack(live) {
		runtime.GC()
	}
}
