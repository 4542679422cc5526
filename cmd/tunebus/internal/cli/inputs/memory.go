package inputs

import (
	"strconv"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/services/finetune"
	training "github.com/tunebus/tunebus/services/finetune/inputs"
	"github.com/tunebus/tunebus/services/inference/fitting"
)

// memory finds out whether this machine has the memory to train a model, and to answer with
// it: a phase whose model does not fit is refused, and that is late if others ran before.
func (c *checker) memory(key string, model training.Base, quantised bool) {
	s := c.specification
	for _, step := range spec.Plan(s) {
		var err error
		switch step.Phase {
		case events.Finetune:
			if key == baseModel && s.FineTuner.Engine == spec.Builtin {
				err = finetune.CheckMemory(c.host, s.FineTuner, model, quantised)
			}
		case events.Inference:
			if s.Inferencer.Engine == spec.Builtin && (key == otherModel || s.Inferencer.ModelID == "") {
				a := llm.Answering{Dir: model.Weights, Adapter: model.Adapter, Bits: llm.Bits(s.Inferencer.LoadIn4bit, s.Inferencer.LoadIn8bit)}
				err = fitting.Check(c.host, "the model", a, "inferencer.load_in_4bit = true")
			}
		}
		if err != nil {
			c.tooLarge(key, err)
			return // one phase is enough: the others want less, or want the same
		}
	}
}

// tooLarge adds a model that does not fit.
func (c *checker) tooLarge(key string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found.TooLarge = append(c.found.TooLarge, structconf.Fault{Key: key, Value: strconv.Quote(c.value(key)), Message: err.Error()})
}
