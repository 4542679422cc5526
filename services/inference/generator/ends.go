package generator

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/tunebus/tunebus/llm/regularfile"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/prediction"
)

// The reasons for which an answer ends.
const (
	endsItself = "stop"
	endsCut    = "length"
	endsFailed = "error" // there is no answer
)

// failed is what stands in the place of an answer that a command could not give.
const failed = `the command says that it failed (finish_reason "error")`

// ends are the reasons for which the answers of a pass end, and how many have each.
type ends map[string]int64

// vocabulary is the number of ids that a model may answer with: those of its tokenizer, or
// of its weights where these have more.
func vocabulary(tok *token.Tokenizer, weights string) int {
	var config struct {
		Size int `json:"vocab_size"`
		Text struct {
			Size int `json:"vocab_size"`
		} `json:"text_config"`
	}
	if body, err := regularfile.Read(filepath.Join(weights, "config.json")); err == nil {
		_ = json.Unmarshal(body, &config) // the command opens the model, and knows better what is wrong
	}
	return max(tok.VocabSize(), config.Size, config.Text.Size)
}

// checkIDs returns why ids are no answer of a model with so many ids.
func checkIDs(ids []int32, vocabulary int) error {
	for _, id := range ids {
		if id < 0 || int(id) >= vocabulary {
			return fmt.Errorf("the id %d is none of the vocabulary, which has 0 to %d", id, vocabulary-1)
		}
	}
	return nil
}

// tellEnds says how answers of a pass end that do not end by themselves. What concerns more
// than a tenth of them is a warning.
func (w *work) tellEnds(ctx context.Context, p pass, e ends) error {
	for _, reason := range slices.Sorted(maps.Keys(e)) {
		what := fmt.Sprintf("answers end for the reason %q", reason)
		switch reason {
		case endsItself:
			continue
		case endsCut:
			what = fmt.Sprintf("answers are cut at inferencer.max_new_tokens = %d", w.job.Request.Specification.Inferencer.MaxNewTokens)
		case endsFailed:
			if e[reason] == w.questions.Rows {
				return &engine.JobError{Code: "command_failed", Err: fmt.Errorf("%s: none of %d questions has an answer: %s", p.file, w.questions.Rows, failed)}
			}
			what = "questions have no answer: " + failed
		case "":
			what = "answers come without a finish_reason, so that nobody knows whether they are whole"
		}
		text := fmt.Sprintf("%s: %d of %d %s", p.file, e[reason], w.questions.Rows, what)
		if 10*e[reason] > w.questions.Rows {
			engine.Warn(ctx, w.job, text)
		} else {
			w.res.Notes = append(w.res.Notes, text)
		}
	}
	return nil
}

// markFailed makes an answer that the command says it could not give one that is not
// there.
func markFailed(p prediction.Prediction) prediction.Prediction {
	if p.FinishReason == endsFailed {
		p.Answer, p.Reasoning, p.NoAnswer, p.Error = "", "", true, failed
	}
	return p
}
