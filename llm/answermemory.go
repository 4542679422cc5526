package llm

import (
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/llm/internal/net"
	"github.com/tunebus/tunebus/llm/internal/weight"
)

// Answering is a model that is going to answer, of which nothing is in memory yet.
type Answering struct {
	// Dir is the folder of the checkpoint, Bits is as for [OpenQuantised], Adapter the
	// folder of an adapter, or empty.
	Dir     string
	Bits    int
	Adapter string
}

// Memory says how much memory the model will take to answer so many rows at once, which
// have so many tokens with their answers, all together. Weights are also the form of them
// for answering, Activations the keys and values. It reads headers, and no weights.
func (a Answering) Memory(rows, tokens int) (Memory, error) {
	cfg, err := readConfig(a.Dir)
	if err != nil {
		return Memory{}, err
	}
	m := newModel(cfg)
	stored, err := storedSizes(a.Dir, m, a.Bits)
	if err != nil {
		return Memory{}, err
	}
	stretched, adapter := map[string]bool{}, int64(0)
	if a.Adapter != "" {
		described, err := readAdapterConfig(filepath.Join(a.Adapter, configFile))
		if err != nil {
			return Memory{}, err
		}
		on, err := m.newAdapter(described)
		if err != nil {
			return Memory{}, err
		}
		adapter = float32Bytes * count(on.params)
		for _, to := range on.modules {
			stretched[to.name] = to.magnitude != nil
			adapter += packedSize(to.a.shape) + packedSize(to.b.shape)
		}
	}
	out := Memory{Weights: stored.head + adapter, Activations: CacheBytes(cfg, tokens)}
	for _, p := range m.params {
		n := stored.of[p.name]
		out.Weights += n
		module := strings.TrimSuffix(p.name, weightSuffix)
		read := cfg.isProjection(module) && len(p.shape) == 2 || p.name == headName || p.name == embedName && cfg.TieWordEmbeddings
		if read && (stretched[module] || n == float32Bytes*int64(p.size())) { // float32, which is brought into panels
			out.Weights += packedSize(p.shape)
		}
	}
	buffers := 3*cfg.HiddenSize + 2*(cfg.Heads+cfg.KVHeads)*cfg.HeadDim + 2*cfg.IntermediateSize
	out.Other = float32Bytes*(int64(net.Together*buffers)+int64(rows*cfg.VocabSize)) + leastSlack
	return out, nil
}

// packedSize is how many bytes a matrix of float32 takes in panels.
func packedSize(shape []int) int64 { return 2 * int64(weight.SixteenSize(shape[0], shape[1])) }
