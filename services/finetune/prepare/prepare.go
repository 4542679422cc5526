package prepare

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/llm/token/lossmask"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/shape"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// Config is the same for all data sets of a run.
type Config struct {
	FineTuner events.FineTuner
	// Now is the time that a chat template may ask for: that of the request, so
	// that a resumed training sees the same rows.
	Now time.Time
	// Workers is the number of rows that are prepared side by side. Default: the
	// number of processors.
	Workers int
	// Positions is for how many tokens the model was made
	// (max_position_embeddings); 0: it is not known. Longer examples are counted.
	Positions int
}

// Preparer prepares data sets. It may be used by any number of goroutines at once.
type Preparer struct {
	config Config
	tok    *token.Tokenizer
	masker *lossmask.Masker
}

// New returns a preparer for a model with this tokenizer.
func New(tok *token.Tokenizer, config Config) *Preparer {
	s := config.FineTuner
	masking := lossmask.Config{
		TrainOn:       lossmask.TrainOn(s.TrainOn),
		ResponsesOnly: s.TrainOnResponsesOnly,
		MaxTokens:     s.MaxSequenceLength,
		Variables:     s.ChatTemplateKwargs.Entries(),
		Now:           config.Now,
		Markers:       markers(s),
	}
	if spec.Prefers(s) { // of pairs the answers count, whatever these keys say
		masking.TrainOn, masking.ResponsesOnly, masking.Markers = lossmask.All, true, lossmask.Markers{}
	}
	return &Preparer{config: config, tok: tok, masker: lossmask.New(tok, masking)}
}

func markers(s events.FineTuner) lossmask.Markers {
	return lossmask.Markers{Question: s.QuestionPart, Answer: s.AnswerPart}
}

// Row is a row of a data set, and what is trained on of it.
type Row struct {
	Source row.Row
	lossmask.Row

	// unwritten says that calls of tools, or the tools, are not in the rendered text,
	// and thoughtless that the reasoning of its last answer is not.
	unwritten, thoughtless bool
	pair                   pairState
}

// prepare renders, encodes and masks a row.
func (p *Preparer) prepare(r row.Row, s shape.Shape) (Row, error) {
	if s == shape.Preference {
		return p.preparePair(r)
	}
	if r.IsText() {
		return Row{Source: r, Row: p.masker.Text(r.Text)}, nil
	}
	c := lossmask.Conversation{
		Messages: conversation(r.Messages),
		Prompted: r.Prompted,
		Pair:     r.Prompted > 0 || s != shape.Messages && s != shape.Conversations,
	}
	if r.Tools.Kind() != value.Missing {
		c.Tools = json.RawMessage(r.Tools.AppendJSON(nil))
	}
	for i, m := range r.Messages {
		if m.IsUnweighted() {
			c.Unweighted = append(c.Unweighted, i)
		}
	}
	masked, err := p.masker.Conversation(c)
	if err != nil {
		return Row{}, fmt.Errorf("%s: %w", r.Place, err)
	}
	return Row{Source: r, Row: masked, unwritten: !writes(masked, r.ToolNames()), thoughtless: !writes(masked, reasoning(r))}, nil
}

// reasoning is that of the last answer of a row, if it has some. Templates leave out
// that of earlier ones, as a model is asked without it.
func reasoning(r row.Row) []string {
	for _, m := range slices.Backward(r.Messages) {
		if m.Role() == row.Assistant && len(m.Called()) == 0 {
			if text := strings.TrimSpace(m.Reasoning()); text != "" && !m.IsUnweighted() {
				return []string{text}
			}
			return nil
		}
	}
	return nil
}

// writes reports whether all parts are in what was rendered of a row.
func writes(rendered lossmask.Row, parts []string) bool {
	var text strings.Builder
	for _, name := range parts {
		if text.Len() == 0 {
			for _, e := range rendered.Examples {
				text.WriteString(e.Text)
			}
		}
		if !strings.Contains(text.String(), name) {
			return false
		}
	}
	return true
}

// conversation is a list of messages as JSON. A list of parts that are texts is
// one text, since most templates know no parts. Images are left out: what becomes of
// them is up to the processor of the model, which an engine that sees has.
func conversation(messages []row.Message) json.RawMessage {
	flat := make([]row.Message, len(messages))
	for i, m := range messages {
		flat[i] = m.WithoutImages().Flat()
	}
	return row.Conversation(flat)
}
