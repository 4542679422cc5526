package inference

import (
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/services/inference/fitting"
)

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
		return engine.Permanent("not_enough_memory", err)
	}
	return nil
}
