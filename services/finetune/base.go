package finetune

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/checkpoint"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/spec/used"
	"github.com/tunebus/tunebus/services/finetune/inputs"
)

// baseModel is what a training starts from.
type baseModel struct {
	inputs.Base
	notes     []string
	quantised bool // it is stored so
	sees      bool // it is the text part of a model that sees
}

// fetchBase fetches the model that a training starts from, and checks it before
// anything is read of the data.
func fetchBase(ctx context.Context, job *engine.Job) (baseModel, error) {
	fetched, err := inputs.FetchBase(ctx, job)
	b := baseModel{Base: fetched}
	if err != nil {
		return b, err
	}
	job.Stage(engine.StageLoad)
	defer progress.Doing(ctx, fmt.Sprintf("opening fine_tuner.base_model_id = %q", job.Request.Specification.FineTuner.BaseModelID))()
	report, err := checkpoint.Check(b.Weights, b.Tokens)
	if err != nil {
		return b, engine.Permanent("bad_model", err)
	}
	if report.Quantised > 0 && job.Request.Specification.FineTuner.FullFinetuning {
		return b, engine.Permanent("bad_model", fmt.Errorf("fine_tuner.full_finetuning = true: the weights of fine_tuner.base_model_id = %q are stored in nf4 (bitsandbytes), "+
			"of which an adapter can be trained alone; take the checkpoint that they were made from, or full_finetuning = false", job.Request.Specification.FineTuner.BaseModelID))
	}
	b.notes, b.Positions, b.quantised, b.sees = report.Notes, report.Config.Positions(), report.Quantised > 0, report.Sees
	return b, nil
}

// open reads the weights and adds the adapter to train, unless all weights are
// to be trained. An adapter that is there already is trained further, or merged
// into the weights.
func (b *baseModel) open(s events.FineTuner) (*llm.Model, error) {
	if b.quantised && bits(s) == 8 {
		b.notes = append(b.notes, fmt.Sprintf("fine_tuner.load_in_8bit = true has no effect on the weights of fine_tuner.base_model_id = %q that are stored in nf4 (bitsandbytes): they stay in 4 bits", s.BaseModelID))
	}
	if b.sees && s.FullFinetuning {
		b.notes = append(b.notes, "fine_tuner.full_finetuning = true: the result is the text part as a model of its own, without the vision part; an adapter fits the whole model")
	}
	model, err := llm.OpenQuantised(b.Weights, bits(s))
	if err == nil && b.Adapter != "" {
		err = model.LoadAdapter(b.Adapter)
	}
	if err != nil {
		return nil, engine.Permanent("bad_model", err)
	}
	switch {
	case s.FullFinetuning && b.Adapter != "":
		b.notes = append(b.notes, "fine_tuner.base_model_id is an adapter: it was merged into its base model, and all weights are trained")
		err = model.MergeAdapter()
	case s.FullFinetuning:
	case b.Adapter != "":
		err = model.SetDropout(s.LoRADropout)
	default:
		b.notes = append(b.notes, AdapterNotes(s, model.Config())...)
		err = model.AttachLoRA(wanted(s))
	}
	return model, engine.Permanent("bad_adapter", err)
}

// took is the section with what is used in place of keys that cannot be honoured.
func (b *baseModel) took(s events.FineTuner) events.FineTuner {
	s.Optimizer = used.Optimizer(s)
	if b.quantised && !s.FullFinetuning {
		s.LoadIn4bit, s.LoadIn8bit = true, false
	}
	return s
}

// wanted is the adapter that a specification asks for.
func wanted(s events.FineTuner) llm.LoRAConfig {
	return llm.LoRAConfig{
		Rank:          s.Rank,
		Alpha:         s.LoRAAlpha,
		Dropout:       s.LoRADropout,
		TargetModules: s.TargetModules,
		RSLoRA:        s.UseRSLoRA,
		Seed:          int64(s.Seed),
		DoRA:          s.UseDoRA,
		Bias:          s.Bias,
		ModulesToSave: s.ModulesToSave,
		RankPattern:   s.RankPattern,
		AlphaPattern:  s.AlphaPattern,
	}
}

// CheckAdapter returns the error of a new adapter that cannot be on a model, and the key
// that it is about. There is none if all weights are trained.
func CheckAdapter(s events.FineTuner, of llm.Config) (key string, err error) {
	if s.FullFinetuning {
		return "", nil
	}
	err = wanted(s).Check(of)
	if err == nil {
		return "", nil
	}
	for _, key := range []string{"modules_to_save", "rank_pattern", "alpha_pattern", "target_modules"} {
		if text, about := strings.CutPrefix(err.Error(), key+": "); about {
			return "fine_tuner." + key, errors.New(text)
		}
	}
	for text, key := range map[string]string{"dropout ": "lora_dropout", "rank ": "rank"} {
		if strings.HasPrefix(err.Error(), text) {
			return "fine_tuner." + key, err
		}
	}
	return "fine_tuner.target_modules", err
}

// AdapterNotes say what is unusual about a new adapter on a model. It is empty if
// all weights are trained.
func AdapterNotes(s events.FineTuner, of llm.Config) (notes []string) {
	if s.FullFinetuning {
		return nil
	}
	if s.Bias != "" && s.Bias != "none" && wanted(s).Biases(of) == 0 {
		notes = append(notes, fmt.Sprintf("fine_tuner.bias = %q: there are no such biases in the model, and none learns", s.Bias))
	}
	if modules, side := wanted(s).Excess(of); len(modules) > 0 {
		notes = append(notes, fmt.Sprintf("fine_tuner.rank = %d is above the shorter side of %s, which is %d: so many more weights are trained and stored, and they add nothing",
			s.Rank, strings.Join(modules, ", "), side))
	}
	return notes
}
