package finetune

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// trainingData is the data sets of a job as tokens.
type trainingData struct {
	training, validation []llm.Example
	datasets             []events.Dataset
	notes                []string
}

// prepare reads, renders and tokenises the rows of the data sets. The tokens of
// all rows are kept in memory, 5 bytes each; the texts are not.
func prepare(ctx context.Context, job *engine.Job, base string) (trainingData, error) {
	s := job.Request.Specification.FineTuner
	var d trainingData
	job.Stage(engine.StageTokenise)
	tok, err := token.Open(base)
	if err != nil {
		return d, engine.Permanent("bad_model", err)
	}
	d.training, d.notes, err = d.read(ctx, job, tok, "fine_tuner.training_data_id", s.TrainingDataID)
	if err != nil || s.ValidationDataID == "" {
		return d, err
	}
	d.validation, _, err = d.read(ctx, job, tok, "fine_tuner.validation_data_id", s.ValidationDataID)
	return d, err
}

// read reads the data set that a key names, and records which one it is.
func (d *trainingData) read(
	ctx context.Context, job *engine.Job, tok *token.Tokenizer, key, id string,
) ([]llm.Example, []string, error) {
	s := job.Request.Specification.FineTuner
	src, err := job.Dataset(ctx, key, id)
	if err != nil {
		return nil, nil, err
	}
	set, err := dataset.Open(ctx, src, dataset.Want{
		Use: dataset.Training,
		Columns: dataset.Columns{
			Question:       s.QuestionColumn,
			Answer:         s.GroundTruthColumn,
			System:         s.SystemPromptColumn,
			SystemOverride: s.SystemPromptOverrideText,
		},
	})
	if err != nil {
		return nil, nil, engine.Permanent("bad_dataset", fmt.Errorf("%s: %w", key, err))
	}
	d.datasets = append(d.datasets, set.Info().Event(key))
	var examples []llm.Example
	var notes []string
	for r, err := range set.Rows(ctx) {
		if err != nil {
			return nil, nil, engine.Permanent("bad_dataset", fmt.Errorf("%s: %w", key, err))
		}
		ids, counts, rowNotes, err := tok.Example(messages(r), s.QuestionPart, s.AnswerPart, s.TrainOnResponsesOnly, s.MaxSequenceLength)
		if err != nil {
			return nil, nil, engine.Permanent("bad_markers", fmt.Errorf("%s: row %d: %w", key, r.Place.Position, err))
		}
		for _, n := range rowNotes {
			if !slices.Contains(notes, n) {
				notes = append(notes, n)
			}
		}
		examples = append(examples, llm.Example{IDs: ids, Count: counts})
		job.Advance(1)
	}
	if len(examples) == 0 {
		return nil, nil, engine.Permanent("empty_dataset", fmt.Errorf("%s: %w", key, dataset.ErrEmpty))
	}
	return examples, notes, endOf(ctx)
}

// endOf is the error of a context that has ended, with its cause.
func endOf(ctx context.Context) error {
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), context.Cause(ctx))
	}
	return nil
}

func messages(r row.Row) []token.Message {
	var m []token.Message
	for _, message := range r.Messages {
		text, _ := message.Text()
		m = append(m, token.Message{Role: message.Role(), Content: text})
	}
	return m
}
