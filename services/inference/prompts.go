package inference

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/llm/token/chattemplate"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// prompt is a row as a model reads it.
type prompt struct {
	row row.Row
	ids []int32
	// opened is the mark of a think block that the prompt has opened, so that the
	// answer begins inside it; empty in most cases.
	opened string
	// cut says that the prompt lost its beginning, and unwritten that tools or calls
	// of them are not in it.
	cut, unwritten bool
}

// encodePrompt renders a row as the model's chat template wants it; a row that is a
// text is its own prompt. A prompt that is too long loses its beginning: the question
// is at the end.
func encodePrompt(job *engine.Job, tok *token.Tokenizer, r row.Row) (prompt, error) {
	s := job.Request.Specification.Inferencer
	text, err := Prompt(tok, s, job.Request.RequestedAt.UTC(), r)
	if err != nil {
		return prompt{}, engine.Permanent("bad_template", err)
	}
	p := prompt{row: r, ids: tok.Encode(text), opened: token.OpenThinking(text).Open}
	if len(p.ids) == 0 {
		return p, engine.Permanent("bad_dataset", fmt.Errorf("%s: %s: the prompt is empty, so that the model has nothing to answer", testingKey, r.Place))
	}
	for _, name := range (row.Row{Tools: r.Tools, Messages: r.Prompt()}).ToolNames() {
		p.unwritten = p.unwritten || !strings.Contains(text, name)
	}
	if n := len(p.ids); s.MaxSequenceLength > 0 && n > s.MaxSequenceLength {
		p.ids, p.cut = p.ids[n-s.MaxSequenceLength:], true
	}
	return p, nil
}

// prompts iterates over the rows as the model of a tokenizer reads them.
func (q questions) prompts(ctx context.Context, job *engine.Job, tok *token.Tokenizer) iter.Seq2[prompt, error] {
	return func(yield func(prompt, error) bool) {
		n := int64(0)
		for r, err := range q.data.Rows(ctx) {
			var p prompt
			if err != nil {
				err = badDataset(err)
			} else {
				p, err = encodePrompt(job, tok, r)
			}
			if !yield(p, err) || err != nil {
				return
			}
			n++
		}
		if n != q.rows {
			yield(prompt{}, badDataset(fmt.Errorf("it had %d rows, and has %d now: it changed while it was read", q.rows, n)))
		}
	}
}

// window is a stretch of the rows, which are in memory together. A model answers it
// in batches of similar lengths.
type window struct {
	first   int64 // index of its first row
	prompts []prompt
}

// The size of a window: so many rows, and not many more tokens. It depends on the
// data alone, so that a later attempt has the same batches.
const (
	windowRows   = 1024
	windowTokens = 4 << 20
)

// windows gathers prompts in windows of whole batches, of at least so many rows.
func windows(prompts iter.Seq2[prompt, error], rows, batch int) iter.Seq2[window, error] {
	batch = max(batch, 1)
	rows = (rows + batch - 1) / batch * batch
	return func(yield func(window, error) bool) {
		var w window
		tokens := 0
		for p, err := range prompts {
			if err != nil {
				yield(window{}, err)
				return
			}
			w.prompts = append(w.prompts, p)
			tokens += len(p.ids)
			n := len(w.prompts)
			if n < rows && (tokens < windowTokens || n%batch != 0) {
				continue
			}
			if !yield(w, nil) {
				return
			}
			w, tokens = window{first: w.first + int64(n)}, 0
		}
		if len(w.prompts) > 0 {
			yield(w, nil)
		}
	}
}

// Prompt renders a row as the model's chat template wants it, up to where the answer
// begins. now is the time that a template may ask for. A row that is a text is its
// own prompt, behind the token that begins a text if the model has one. The error names the row.
func Prompt(tok *token.Tokenizer, s events.Inferencer, now time.Time, r row.Row) (string, error) {
	if r.IsText() {
		return tok.Begin(r.Text), nil
	}
	c := chattemplate.Conversation{
		Messages:            conversation(r.Prompt()),
		AddGenerationPrompt: true,
		Variables:           s.ChatTemplateKwargs.Entries(),
		Now:                 now,
	}
	if !r.Tools.IsMissing() {
		c.Tools = json.RawMessage(r.Tools.AppendJSON(nil))
	}
	rendering, err := tok.RenderConversation(c)
	if err != nil {
		return "", fmt.Errorf("%s: %w", r.Place, err)
	}
	return rendering.Text, nil
}

// BeyondPositions says of prompts that are longer than what a model was made for what
// happens to them, as the rest of a sentence.
func BeyondPositions(positions int) string {
	return fmt.Sprintf("prompts are longer than the %d tokens that the model was made for (max_position_embeddings in its config.json): the model reads them whole, "+
		"at positions that it does not know; inferencer.max_sequence_length = %d would cut their beginning", positions, positions)
}

// conversation is a list of messages as JSON. A list of parts that are texts is
// one text, since most templates know no parts.
func conversation(messages []row.Message) json.RawMessage {
	flat := make([]row.Message, len(messages))
	for i, m := range messages {
		flat[i] = m.Flat()
	}
	return row.Conversation(flat)
}
