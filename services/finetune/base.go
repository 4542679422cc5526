package finetune

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/checkpoint"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/spec/used"
	"github.com/tunebus/tunebus/pipeline/structconf"
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
	model, err := llm.OpenQuantised(b.Weights, bits(s))
	if err == nil && b.Adapter != "" {
		err = model.LoadAdapter(b.Adapter)
	}
	if err != nil {
		return nil, engine.Permanent("bad_model", err)
	}
	b.notes = append(b.notes, KeyNotes(s, model.Config(), Start{Quantised: b.quantised, Sees: b.sees, Adapter: b.Adapter != ""}).Lines()...)
	switch {
	case s.FullFinetuning && b.Adapter != "":
		b.notes = append(b.notes, "fine_tuner.base_model_id is an adapter: it was merged into its base model, and all weights are trained")
		err = model.MergeAdapter()
	case s.FullFinetuning:
	case b.Adapter != "":
		err = model.SetDropout(s.LoRADropout)
	default:
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

// Start is what a training starts from: weights that are stored in 4 bits, a model that
// sees, an adapter.
type Start struct{ Quantised, Sees, Adapter bool }

// KeyNotes say what is unusual about keys on the model that a training starts from. They
// are known before the training, and are among its notes.
func KeyNotes(s events.FineTuner, of llm.Config, from Start) structconf.Faults {
	var notes structconf.Faults
	if from.Quantised && bits(s) == 8 {
		notes = append(notes, structconf.Fault{Key: "fine_tuner.load_in_8bit", Value: "true", Message: fmt.Sprintf(
			"has no effect on the weights of fine_tuner.base_model_id = %q that are stored in nf4 (bitsandbytes): they stay in 4 bits", s.BaseModelID)})
	}
	if from.Sees && s.FullFinetuning {
		notes = append(notes, structconf.Fault{Key: "fine_tuner.full_finetuning", Value: "true", Message: "the result is the text part as a model of its own, " +
			"without the vision part; an adapter fits the whole model"})
	}
	if s.FullFinetuning || from.Adapter {
		return notes
	}
	return append(notes, adapterNotes(s, of)...)
}

// adapterNotes say what is unusual about a new adapter on a model.
func adapterNotes(s events.FineTuner, of llm.Config) (notes structconf.Faults) {
	if s.Bias != "" && s.Bias != "none" && wanted(s).Biases(of) == 0 {
		notes = append(notes, structconf.Fault{Key: "fine_tuner.bias", Value: strconv.Quote(s.Bias), Message: "there are no such biases in the model, and none learns"})
	}
	if modules, side := wanted(s).Excess(of); len(modules) > 0 {
		notes = append(notes, structconf.Fault{Key: "fine_tuner.rank", Value: strconv.Itoa(s.Rank), Message: fmt.Sprintf(
			"is above the shorter side of %s, which is %d: so many more weights are trained and stored, and they add nothing", strings.Join(modules, ", "), side)})
	}
	return notes
}
