package inference

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// keyFact is the optional column with the fact that a right answer contains.
const keyFact = "key_fact"

// fetchModels fetches the base model and the result of fine-tuning. tuned is
// empty if the run has no fine-tuning.
func fetchModels(ctx context.Context, job *engine.Job) (base, tuned string, err error) {
	s := job.Request.Specification
	if ref := job.Request.Inputs.Model; ref != nil {
		if tuned, err = job.FetchDir(ctx, *ref, "tuned"); err != nil {
			return "", "", fmt.Errorf("fetch the tuned model: %w", err)
		}
		if !isAdapter(tuned) && !s.Inferencer.Baseline {
			return tuned, "", nil // a whole model needs no base model
		}
	}
	key, id := "fine_tuner.base_model_id", s.FineTuner.BaseModelID
	if s.Inferencer.ModelID != "" {
		key, id = "inferencer.model_id", s.Inferencer.ModelID
	}
	base, err = job.Model(ctx, key, id)
	return base, tuned, err
}

// isAdapter reports whether a folder holds an adapter and no whole model.
func isAdapter(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "adapter_config.json"))
	return err == nil
}

// readQuestions reads the rows of the test set, and returns which data set it
// is.
func readQuestions(ctx context.Context, job *engine.Job) ([]row.Row, events.Dataset, error) {
	const key = "inferencer.testing_data_id"
	s := job.Request.Specification.Inferencer
	src, err := job.Dataset(ctx, key, s.TestingDataID)
	if err != nil {
		return nil, events.Dataset{}, err
	}
	set, err := dataset.Open(ctx, src, dataset.Want{
		Use: dataset.Testing,
		Columns: dataset.Columns{
			Question:       s.QuestionColumn,
			Answer:         s.GroundTruthColumn,
			System:         s.SystemPromptColumn,
			SystemOverride: s.SystemPromptOverrideText,
		},
		Extra: []string{keyFact},
	})
	if err != nil {
		return nil, events.Dataset{}, engine.Permanent("bad_dataset", fmt.Errorf("%s: %w", key, err))
	}
	var rows []row.Row
	for r, err := range set.Rows(ctx) {
		if err != nil {
			return nil, set.Info().Event(key), engine.Permanent("bad_dataset", fmt.Errorf("%s: %w", key, err))
		}
		rows = append(rows, r)
		job.Advance(1)
	}
	if len(rows) == 0 {
		return nil, set.Info().Event(key), engine.Permanent("empty_dataset", fmt.Errorf("%s: %w", key, dataset.ErrEmpty))
	}
	return rows, set.Info().Event(key), nil
}

// encodePrompts renders the rows as the model's chat template wants them. A
// prompt that is too long loses its beginning: the question is at the end.
func encodePrompts(job *engine.Job, tok *token.Tokenizer, rows []row.Row, maxTokens int) ([][]int32, error) {
	prompts := make([][]int32, len(rows))
	for i, r := range rows {
		text, err := tok.Render(messages(r), true)
		if err != nil {
			return nil, engine.Permanent("bad_template", fmt.Errorf("row %d: %w", r.Place.Position, err))
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

func messages(r row.Row) []token.Message {
	var m []token.Message
	for _, message := range r.Prompt() {
		text, _ := message.Text()
		m = append(m, token.Message{Role: message.Role(), Content: text})
	}
	return m
}

// truth is the ground truth of a row; empty if it has none.
func truth(r row.Row) string {
	if len(r.Truths) == 0 {
		return ""
	}
	return r.Truths[0]
}
