package inputs

import (
	"errors"
	"strings"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/checkpoint"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/services/finetune"
	training "github.com/tunebus/tunebus/services/finetune/inputs"
)

// weights checks a model as the built-in engine does before its first step, and
// reads no weights. What it returns has no tokenizer if that cannot be used or if it
// belongs to a base model that is not on this machine.
func (c *checker) weights(key, dir string) Renderer {
	base, tokens := dir, dir
	shown := strings.NewReplacer(dir, c.value(key))
	adapter := exists(dir, "adapter_config.json") && !exists(dir, "config.json")
	if adapter {
		var local bool
		if base, local = c.files[key+engine.BaseSuffix]; !local {
			return c.adapterAlone(key, dir)
		}
		if !exists(dir, "tokenizer.json") {
			tokens = base
		}
	}
	report, err := checkpoint.Check(base, tokens)
	if adapter && report.Config.VocabSize > 0 {
		err = errors.Join(err, llm.InspectAdapter(dir, report.Config))
	}
	c.faults(key, shown, err)
	c.note(key, report.Notes)
	if key == baseModel && c.trainsHere() {
		c.schedule(shown)
	}
	if key == baseModel && report.Config.HiddenSize > 0 && c.trainsHere() {
		if !adapter {
			about, err := finetune.CheckAdapter(c.specification.FineTuner, report.Config)
			c.faults(about, shown, err)
		}
		c.add(nil, finetune.KeyNotes(c.specification.FineTuner, report.Config, finetune.Start{Quantised: report.Quantised > 0, Sees: report.Sees, Adapter: adapter}))
	}
	if err == nil {
		model := training.Base{Weights: base}
		if adapter {
			model.Adapter = dir
		}
		c.memory(key, model, report.Quantised > 0)
	}
	return Renderer{Tokenizer: report.Tokenizer, Positions: report.Config.Positions()}
}

// trainsHere reports whether the built-in engine trains. It reads the base model also where
// it answers alone.
func (c *checker) trainsHere() bool {
	return c.specification.Pipeline.EnableFinetuning && c.specification.FineTuner.Engine == spec.Builtin
}

// schedule checks the schedule, which is at fault where it lacks an argument.
func (c *checker) schedule(shown *strings.Replacer) {
	key := "fine_tuner.lr_scheduler_kwargs"
	if c.specification.FineTuner.LRSchedulerKwargs == "" {
		key = "fine_tuner.lr_scheduler_type"
	}
	c.faults(key, shown, finetune.CheckSchedule(c.specification.FineTuner))
}

// adapterAlone checks an adapter whose base model is on the Hub.
func (c *checker) adapterAlone(key, dir string) Renderer {
	shown := strings.NewReplacer(dir, c.value(key))
	a, err := llm.OpenAdapter(dir)
	if err == nil {
		_, err = a.Modules()
		err = errors.Join(err, a.Close())
	}
	c.faults(key, shown, err)
	renderer, err := Model(dir, c.value(key))
	if !errors.Is(err, ErrNoTokenizer) {
		c.faults(key, shown, err)
	}
	return renderer
}

// faults adds each of the joined errors of what a key names.
func (c *checker) faults(key string, shown *strings.Replacer, err error) {
	if all, joined := err.(interface{ Unwrap() []error }); joined {
		for _, one := range all.Unwrap() {
			c.faults(key, shown, one)
		}
		return
	}
	if err == nil {
		return
	}
	c.fault(key, errors.New(strings.TrimPrefix(shown.Replace(err.Error()), "checkpoint ")))
}

// note adds notes about what a key names.
func (c *checker) note(key string, notes []string) {
	for _, n := range notes {
		c.add(nil, structconf.Faults{{Key: key, Message: n}})
	}
}

// add adds faults and notes.
func (c *checker) add(faults, notes structconf.Faults) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found.Faults = append(c.found.Faults, faults...)
	c.found.Notes = append(c.found.Notes, notes...)
}
