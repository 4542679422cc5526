package inference

import (
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/services/inference/fitting"
)

// notEnoughMemory is the code of a phase that was refused since it would not fit.
const notEnoughMemory = "not_enough_memory"

func (e Engine) host() hostmemory.Host {
	if e.Host != nil {
		return *e.Host
	}
	return hostmemory.Machine()
}

// fits refuses a model that does not fit into the memory.
func (e Engine) fits(name string, p pass) error {
	a := llm.Answering{Dir: p.Weights(), Bits: p.bits, Adapter: p.Adapter()}
	if err := fitting.Check(e.host(), name, a, "inferencer.load_in_4bit = true"); err != nil {
		return engine.Permanent(notEnoughMemory, err)
	}
	return nil
}
