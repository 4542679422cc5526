package inference

import (
	"fmt"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
)

func (e Engine) host() hostmemory.Host {
	if e.Host != nil {
		return *e.Host
	}
	return hostmemory.Machine()
}

// fits refuses a model that does not fit into the memory with the shortest row, before its
// weights are read. What else is wrong with it its opening says.
func (e Engine) fits(name string, p pass) error {
	needed, err := llm.Answering{Dir: p.Weights(), Bits: p.bits, Adapter: p.Adapter()}.Memory(1, generation.BlockTokens)
	if err != nil {
		return nil
	}
	free, known := e.host().Available()
	if !known || needed.Sum() <= free.Bytes {
		return nil
	}
	advice := "take a smaller model, or answer where there is more memory"
	if p.bits != 4 {
		four := llm.Answering{Dir: p.Weights(), Bits: 4, Adapter: p.Adapter()}
		if m, err := four.Memory(1, generation.BlockTokens); err == nil && m.Sum() < needed.Sum()*19/20 {
			advice = fmt.Sprintf("it would need %s with inferencer.load_in_4bit = true", hostmemory.Size(m.Sum()))
			if m.Sum() > free.Bytes {
				advice += ", which is still too much: take a smaller model, or answer where there is more memory"
			}
		}
	}
	return engine.Permanent("not_enough_memory", fmt.Errorf("%s needs %s of memory to answer, and %s has %s left: weights %s, keys and values of one row %s, other %s; %s", name,
		hostmemory.Size(needed.Sum()), free.Of, hostmemory.Size(free.Bytes), hostmemory.Size(needed.Weights), hostmemory.Size(needed.Activations), hostmemory.Size(needed.Other), advice))
}
