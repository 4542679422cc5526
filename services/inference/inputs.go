package inference

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/shape"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// keyFact is the optional column with the fact that a right answer contains.
const keyFact = "key_fact"

// fetchModels fetches the base model and the result of fine-tuning.
func fetchModels(ctx context.Context, job *engine.Job) (models, error) {
	s := job.Request.Specification
	tuned := ""
	if ref := job.Request.Inputs.Model; ref != nil {
		var err error
		if tuned, err = job.FetchDir(ctx, *ref, "tuned"); err != nil {
			return models{}, fmt.Errorf("fetch the tuned model: %w", err)
		}
		if !isAdapter(tuned) && !s.Inferencer.Baseline {
			return models{base: tuned}, nil // a whole model needs no base model
		}
	}
	key, id := "fine_tuner.base_model_id", s.FineTuner.BaseModelID
	if s.Inferencer.ModelID != "" {
		key, id = "inferencer.model_id", s.Inferencer.ModelID
	}
	base, adapter, err := engine.FetchModel(ctx, job, key, id)
	return models{base: base, baseAdapter: adapter, tuned: tuned}, err
}

// models are the folders of the models of a job.
type models struct {
	base string
	// baseAdapter is the adapter that belongs to the base model, where the key
	// names an adapter; it takes no part where there is a tuned model.
	baseAdapter string
	// tuned is the result of fine-tuning: an adapter or a whole model. It is
	// empty if the run has no fine-tuning.
	tuned string
}

// answering is the folder that answers in the place of the base model: the tuned
// model, or the adapter that the run begins with.
func (m models) answering() string {
	if m.tuned != "" {
		return m.tuned
	}
	return m.baseAdapter
}

// isAdapter reports whether a folder holds an adapter and no whole model.
func isAdapter(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "adapter_config.json"))
	return err == nil
}

// questions are the rows of the test set.
type questions struct {
	data            *dataset.Dataset
	rows            int64
	set             events.Dataset // its key is empty if the data set could not be opened
	notes, warnings []string
}

const testingKey = "inferencer.testing_data_id"

// openQuestions opens the test set, and reads it once to its end.
func openQuestions(ctx context.Context, job *engine.Job) (q questions, err error) {
	s := job.Request.Specification.Inferencer
	src, err := job.Dataset(ctx, testingKey, s.TestingDataID)
	if err != nil {
		return q, err
	}
	if q.data, err = dataset.Open(ctx, src, Want(s)); err != nil {
		return q, badDataset(err)
	}
	info := q.data.Info()
	q.set, q.notes, q.warnings = info.Event(testingKey), info.Notes, info.Warnings
	q.set.RowsRead, q.set.WithoutAnswer, q.set.Dropped = info.Counts.Read, info.Counts.MissingTruths, info.Counts.Dropped
	if q.rows = info.Counts.Rows; q.rows == 0 {
		return q, engine.Permanent("empty_dataset", fmt.Errorf("%s: %w", testingKey, dataset.ErrEmpty))
	}
	return q, nil
}

func badDataset(err error) error {
	return engine.Permanent("bad_dataset", fmt.Errorf("%s: %w", testingKey, err))
}

// Want is what the built-in engine reads of a data set.
func Want(s events.Inferencer) dataset.Want {
	return dataset.Want{
		Use:       dataset.Testing,
		Shape:     shape.Shape(s.DataFormat),
		Encoding:  s.DataEncoding,
		Delimiter: s.DataDelimiter,
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
