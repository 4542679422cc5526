package inputs

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/llm/token/chattemplate"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Prompt is a row as a model reads it.
type Prompt struct {
	Row row.Row
	// IDs are its tokens; nil in a test set with images, of which the processor of the
	// model makes tokens, texts and images together.
	IDs []int32
	// Opened is the mark of a think block that the prompt has opened, so that the
	// answer begins inside it; empty in most cases.
	Opened string
	// Cut says that the prompt lost its beginning, and Unwritten that tools or calls
	// of them are not in it.
	Cut, Unwritten bool
}

// encodePrompt renders a row as the model's chat template wants it; a row that is a
// text is its own prompt. A prompt that is too long loses its beginning: the question
// is at the end.
func encodePrompt(job *engine.Job, tok *token.Tokenizer, r row.Row) (Prompt, error) {
	s := job.Request.Specification.Inferencer
	text, err := Render(tok, s, job.Request.RequestedAt.UTC(), r)
	if err != nil {
		return Prompt{}, engine.Permanent("bad_template", err)
	}
	p := Prompt{Row: r, IDs: tok.Encode(text), Opened: token.OpenThinking(text).Open}
	if len(p.IDs) == 0 {
		return p, engine.Permanent("bad_dataset", fmt.Errorf("%s: %s: the prompt is empty, so that the model has nothing to answer", TestingKey, r.Place))
	}
	for _, name := range (row.Row{Tools: r.Tools, Messages: r.Prompt()}).ToolNames() {
		p.Unwritten = p.Unwritten || !strings.Contains(text, name)
	}
	if n := len(p.IDs); s.MaxSequenceLength > 0 && n > s.MaxSequenceLength {
		p.IDs, p.Cut = p.IDs[n-s.MaxSequenceLength:], true
	}
	return p, nil
}

// Prompts iterates over the rows as the model of a tokenizer reads them.
func (q Questions) Prompts(ctx context.Context, job *engine.Job, tok *token.Tokenizer) iter.Seq2[Prompt, error] {
	return func(yield func(Prompt, error) bool) {
		n := int64(0)
		for r, err := range q.Data.Rows(ctx) {
			var p Prompt
			if err != nil {
				err = readFault(ctx, err)
			} else if q.HasImages() {
				p.Row = r
			} else {
				p, err = encodePrompt(job, tok, r)
			}
			if !yield(p, err) || err != nil {
				return
			}
			n++
		}
		if n != q.Rows {
			yield(Prompt{}, BadDataset(fmt.Errorf("it had %d rows, and has %d now: it changed while it was read", q.Rows, n)))
		}
	}
}

// Render renders a row as the model's chat template wants it, up to where the answer
// begins. now is the time that a template may ask for. A row that is a text is its
// own prompt, behind the token that begins a text if the model has one. The error names the row.
func Render(tok *token.Tokenizer, s events.Inferencer, now time.Time, r row.Row) (string, error) {
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

// Place is where a prompt and its answer stand against the positions that a model was made
// for.
type Place int

// The places.
const (
	// Within says that prompt and answer stay within the positions.
	Within Place = iota
	// Reaching says that the answer may go beyond them, and Beyond that the prompt does.
	Reaching
	Beyond
)

// Reach is the place of a prompt of so many tokens with an answer of most tokens. Without
// positions nothing is known, and everything is within.
func Reach(tokens, most, positions int) Place {
	switch {
	case positions <= 0:
		return Within
	case tokens > positions:
		return Beyond
	case tokens+most > positions:
		return Reaching
	}
	return Within
}

// ReachingNote is the note about prompts whose answers may go beyond the positions that the
// model was made for. count says how many there are, such as "3 of 18"; the longest of them
// has so many tokens.
func ReachingNote(s events.Inferencer, count string, longest, positions int) structconf.Fault {
	text := fmt.Sprintf("%s prompts and their answers together may have more than the %d tokens that the model was made for (max_position_embeddings in its config.json): "+
		"such an answer goes on at positions that the model does not know; the longest of these prompts has %d tokens", count, positions, longest)
	if left := positions - longest; left > 0 {
		text += fmt.Sprintf(", so that inferencer.max_new_tokens = %d keeps them within", left)
	}
	return structconf.Fault{Key: "inferencer.max_new_tokens", Value: strconv.Itoa(s.MaxNewTokens), Message: text}
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
