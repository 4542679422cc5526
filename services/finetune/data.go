package finetune

import (
	"context"
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/phase"
)

// data is what is learned from, as tokens.
type data struct {
	training, validation []llm.Example
	notes                []string
}

// prepare renders and tokenises the rows. The tokens of all rows are held in
// memory, 5 bytes each; the texts are not.
func prepare(ctx context.Context, job *phase.Job, base string) (data, error) {
	s := job.Request.Specification.FineTuner
	var d data
	tok, err := token.Open(base)
	if err != nil {
		return d, phase.Permanent("bad_model", err)
	}
	if d.training, d.notes, err = examples(ctx, job, tok, "fine_tuner.training_data_id", s.TrainingDataID, dataset.Train); err != nil {
		return d, err
	}
	if s.ValidationDataID != "" {
		if d.validation, _, err = examples(ctx, job, tok, "fine_tuner.validation_data_id", s.ValidationDataID, dataset.Validation); err != nil {
			return d, err
		}
	}
	return d, nil
}

func examples(ctx context.Context, job *phase.Job, tok *token.Tokenizer, key, id string, split dataset.Split) ([]llm.Example, []string, error) {
	s := job.Request.Specification.FineTuner
	path, err := job.Dataset(ctx, key, id)
	if err != nil {
		return nil, nil, err
	}
	set, err := dataset.Open(ctx, dataset.Source{Path: path, Split: split}, dataset.Columns{
		Question: s.QuestionColumn, Answer: s.GroundTruthColumn,
		System: s.SystemPromptColumn, SystemOverride: s.SystemPromptOverrideText,
	})
	if err != nil {
		return nil, nil, phase.Permanent("bad_dataset", fmt.Errorf("%s: %w", key, err))
	}
	var out []llm.Example
	seen := map[string]bool{}
	var notes []string
	for row, err := range set.Rows(ctx) {
		if err != nil {
			return nil, nil, phase.Permanent("bad_dataset", fmt.Errorf("%s: %w", key, err))
		}
		ids, count, more, err := tok.Example(messages(row), s.QuestionPart, s.AnswerPart, s.TrainOnResponsesOnly, s.MaxSequenceLength)
		if err != nil {
			return nil, nil, phase.Permanent("bad_markers", fmt.Errorf("%s: row %d: %w", key, row.Index, err))
		}
		for _, n := range more {
			if !seen[n] {
				seen[n] = true
				notes = append(notes, n)
			}
		}
		out = append(out, llm.Example{IDs: ids, Count: count})
	}
	if len(out) == 0 {
		return nil, nil, phase.Permanent("empty_dataset", fmt.Errorf("%s: %w", key, dataset.ErrEmpty))
	}
	return out, notes, ctxErr(ctx)
}

func ctxErr(ctx context.Context) error {
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), context.Cause(ctx))
	}
	return nil
}

func messages(row dataset.Row) []token.Message {
	var m []token.Message
	if row.System != "" {
		m = append(m, token.Message{Role: "system", Content: row.System})
	}
	return append(m,
		token.Message{Role: "user", Content: row.Question},
		token.Message{Role: "assistant", Content: row.Answer})
}

// notes name what the specification asks for and this engine does not have.
func notes(s events.FineTuner) []string {
	var out []string
	add := func(asked bool, text string) {
		if asked {
			out = append(out, text)
		}
	}
	add(s.LoadIn4bit, "fine_tuner.load_in_4bit: the built-in engine keeps the base weights as they are stored")
	add(s.LoadIn8bit, "fine_tuner.load_in_8bit: the built-in engine keeps the base weights as they are stored")
	add(s.IsMultimodel, "fine_tuner.is_multimodel: the built-in engine reads text alone")
	add(s.FinetuneVisionLayers || s.FinetuneLanguageLayers || s.FinetuneAttentionModules || s.FinetuneMLPModules,
		"fine_tuner.finetune_*_layers and finetune_*_modules: they choose parts of vision-language models, which the built-in engine does not train")
	add(s.UseGradientCheckpointing.On(), "fine_tuner.use_gradient_checkpointing: the built-in engine keeps what it computed")
	add(s.ReportTo != "" && s.ReportTo != "mlflow" && s.ReportTo != "none",
		fmt.Sprintf("fine_tuner.report_to = %q: the built-in engine reports to nobody; the tracker writes to MLflow", s.ReportTo))
	add(s.Packing, "fine_tuner.packing: the built-in engine trains one row in a sequence")
	add(s.UseFlashAttention, "fine_tuner.use_flash_attention: the built-in engine has its own attention")
	add(s.LoftQConfig != "", "fine_tuner.loftq_config: the built-in engine has no LoftQ")
	add(s.Bias != "" && s.Bias != "none", "fine_tuner.bias: the built-in engine leaves biases as they are")
	add(s.Optimizer != "" && s.Optimizer != "adamw_torch" && s.Optimizer != "adamw", fmt.Sprintf("fine_tuner.optimizer = %q: the built-in engine uses AdamW", s.Optimizer))
	add(s.PushToHub, "fine_tuner.push_to_hub: nothing was pushed to the Hub; the model is among the run's artifacts")
	return out
}
