package finetune

import (
	"context"
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/worker"
)

// data is what is learned from, as tokens.
type data struct {
	training, validation []llm.Example
	read                 []events.Dataset
	notes                []string
}

// prepare renders and tokenises the rows. The tokens of all rows are held in
// memory, 5 bytes each; the texts are not.
func prepare(ctx context.Context, job *worker.Job, base string) (data, error) {
	s := job.Request.Specification.FineTuner
	var d data
	tok, err := token.Open(base)
	if err != nil {
		return d, worker.Permanent("bad_model", err)
	}
	if d.training, d.notes, err = d.examples(ctx, job, tok, "fine_tuner.training_data_id", s.TrainingDataID, dataset.Train); err != nil {
		return d, err
	}
	if s.ValidationDataID != "" {
		if d.validation, _, err = d.examples(ctx, job, tok, "fine_tuner.validation_data_id", s.ValidationDataID, dataset.Validation); err != nil {
			return d, err
		}
	}
	return d, nil
}

// examples reads one data set, and notes which it is.
func (d *data) examples(ctx context.Context, job *worker.Job, tok *token.Tokenizer, key, id string, split dataset.Split) ([]llm.Example, []string, error) {
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
		return nil, nil, worker.Permanent("bad_dataset", fmt.Errorf("%s: %w", key, err))
	}
	d.read = append(d.read, set.Info().Event(key))
	var out []llm.Example
	seen := map[string]bool{}
	var notes []string
	for row, err := range set.Rows(ctx) {
		if err != nil {
			return nil, nil, worker.Permanent("bad_dataset", fmt.Errorf("%s: %w", key, err))
		}
		ids, count, more, err := tok.Example(messages(row), s.QuestionPart, s.AnswerPart, s.TrainOnResponsesOnly, s.MaxSequenceLength)
		if err != nil {
			return nil, nil, worker.Permanent("bad_markers", fmt.Errorf("%s: row %d: %w", key, row.Index, err))
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
		return nil, nil, worker.Permanent("empty_dataset", fmt.Errorf("%s: %w", key, dataset.ErrEmpty))
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
