package inference

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
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

// readQuestions reads the rows of the test set, and returns which data set it
// is.
func readQuestions(ctx context.Context, job *engine.Job) ([]dataset.Row, events.Dataset, error) {
	const key = "inferencer.testing_data_id"
	s := job.Request.Specification.Inferencer
	path, err := job.Dataset(ctx, key, s.TestingDataID)
	if err != nil {
		return nil, events.Dataset{}, err
	}
	set, err := dataset.Open(ctx, dataset.Source{Path: path, Split: dataset.Test}, dataset.Columns{
		Question:       s.QuestionColumn,
		Answer:         s.GroundTruthColumn,
		System:         s.SystemPromptColumn,
		SystemOverride: s.SystemPromptOverrideText,
		Extra:          []string{keyFact},
	})
	if err != nil {
		return nil, events.Dataset{}, engine.Permanent("bad_dataset", fmt.Errorf("%s: %w", key, err))
	}
	var rows []dataset.Row
	for row, err := range set.Rows(ctx) {
		if err != nil {
			return nil, set.Info().Event(key), engine.Permanent("bad_dataset", fmt.Errorf("%s: %w", key, err))
		}
		rows = append(rows, row)
		job.Advance(1)
	}
	if len(rows) == 0 {
		return nil, set.Info().Event(key), engine.Permanent("empty_dataset", fmt.Errorf("%s: %w", key, dataset.ErrEmpty))
	}
	return rows, set.Info().Event(key), nil
}

// encodePrompts renders the rows as the model's chat template wants them. A
// prompt that is too long loses its beginning: the question is at the end.
func encodePrompts(job *engine.Job, tok *token.Tokenizer, rows []dataset.Row, maxTokens int) ([][]int32, error) {
	prompts := make([][]int32, len(rows))
	for i, row := range rows {
		text, err := tok.Render(messages(row), true)
		if err != nil {
			return nil, engine.Permanent("bad_template", fmt.Errorf("row %d: %w", row.Index, err))
		}
		ids := tok.Encode(text)
		if maxTokens > 0 && len(ids) > maxTokens {
			ids = ids[len(ids)-maxTokens:]
		}
		prompts[i] = ids
		job.Advance(1)
	}
	return prompts, nil
}

func messages(row dataset.Row) []token.Message {
	var m []token.Message
	if row.System != "" {
		m = append(m, token.Message{Role: "system", Content: row.System})
	}
	return append(m, token.Message{Role: "user", Content: row.Question})
}
