package inputs

import (
	"context"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/shape"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
)

// keyFact is the optional column with the fact that a right answer contains.
const keyFact = "key_fact"

// Questions are the rows of the test set.
type Questions struct {
	Data            *dataset.Dataset
	Rows            int64
	Set             events.Dataset // its key is empty if the data set could not be opened
	Notes, Warnings []string
}

// HasImages reports whether rows of the test set have images.
func (q Questions) HasImages() bool { return q.Data.Info().Counts.Images > 0 }

// TestingKey is the key that names the test set.
const TestingKey = "inferencer.testing_data_id"

// OpenQuestions opens the test set, and reads it once to its end.
func OpenQuestions(ctx context.Context, job *engine.Job) (q Questions, err error) {
	s := job.Request.Specification.Inferencer
	src, err := job.Dataset(ctx, TestingKey, s.TestingDataID)
	if err != nil {
		return q, err
	}
	if q.Data, err = dataset.Open(ctx, src, Want(s)); err != nil {
		return q, readFault(ctx, err)
	}
	info := q.Data.Info()
	q.Set, q.Notes, q.Warnings = info.Event(TestingKey), info.Notes, info.Warnings
	q.Set.RowsRead, q.Set.WithoutAnswer, q.Set.Dropped = info.Counts.Read, info.Counts.MissingTruths, info.Counts.Dropped
	if q.Rows = info.Counts.Rows; q.Rows == 0 {
		return q, engine.Permanent("empty_dataset", fmt.Errorf("%s: %w", TestingKey, dataset.ErrEmpty))
	}
	return q, nil
}

// BadDataset is the error of a test set that no attempt can read.
func BadDataset(err error) error {
	return engine.Permanent("bad_dataset", fmt.Errorf("%s: %w", TestingKey, err))
}

// Want is what the engines read of a data set.
func Want(s events.Inferencer) dataset.Want {
	return dataset.Want{
		Use:       dataset.Testing,
		Shape:     shape.Shape(s.DataFormat),
		Encoding:  s.DataEncoding,
		Delimiter: s.DataDelimiter,
		Sees:      s.Engine != "" && s.Engine != engine.Builtin,
		Columns: dataset.Columns{
			Question:       s.QuestionColumn,
			Answer:         s.GroundTruthColumn,
			System:         s.SystemPromptColumn,
			SystemOverride: s.SystemPromptOverrideText,
			Image:          s.ImageColumn,
		},
		Extra: []string{keyFact},
	}
}

// Answered is a row with its answer: the text that a model wrote, with its reasoning.
// index is the place of the row in the test set.
func Answered(r row.Row, index int64, text string) prediction.Prediction {
	p := prediction.Prediction{
		Index:         index,
		System:        r.System(),
		Question:      r.Question(),
		NoGroundTruth: len(r.Truths) == 0,
		KeyFact:       r.Fields[keyFact],
	}
	if len(r.Truths) > 0 {
		p.GroundTruth = r.Truths[0]
	}
	if len(r.Truths) > 1 {
		p.References = r.Truths
	}
	p.Answer, p.Reasoning = prediction.SplitReasoning(text)
	return p
}

// readFault is the error of a test set that could not be read to its end. An attempt that
// is interrupted while it reads says nothing of the data.
func readFault(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return BadDataset(err)
}
