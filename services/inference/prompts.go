package inference

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/llm/token/chattemplate"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// prompts are the rows as a model reads them.
type prompts struct {
	ids [][]int32
	// opened[i] is the mark of a think block that the prompt has opened, so that
	// the answer begins inside it; empty in most cases.
	opened []string
	cut    int64 // prompts that lost their beginning
}

// encodePrompts renders the rows as the model's chat template wants them; a row
// that is a text is its own prompt. A prompt that is too long loses its beginning:
// the question is at the end.
func encodePrompts(job *engine.Job, tok *token.Tokenizer, rows []row.Row) (prompts, error) {
	s := job.Request.Specification.Inferencer
	p := prompts{ids: make([][]int32, len(rows)), opened: make([]string, len(rows))}
	for i, r := range rows {
		text, err := Prompt(tok, s, job.Request.RequestedAt.UTC(), r)
		if err != nil {
			return p, engine.Permanent("bad_template", err)
		}
		p.opened[i] = token.OpenThinking(text).Open
		p.ids[i] = tok.Encode(text)
		if n := len(p.ids[i]); s.MaxSequenceLength > 0 && n > s.MaxSequenceLength {
			p.ids[i] = p.ids[i][n-s.MaxSequenceLength:]
			p.cut++
		}
		job.Advance(1)
	}
	return p, nil
}

// Prompt renders a row as the model's chat template wants it, up to where the answer
// begins. now is the time that a template may ask for. A row that is a text is its
// own prompt. The error names the row.
func Prompt(tok *token.Tokenizer, s events.Inferencer, now time.Time, r row.Row) (string, error) {
	if r.IsText() {
		return r.Text, nil
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

// conversation is a list of messages as JSON. A list of parts that are texts is
// one text, since most templates know no parts.
func conversation(messages []row.Message) json.RawMessage {
	flat := make([]row.Message, len(messages))
	for i, m := range messages {
		flat[i] = m.Flat()
	}
	return row.Conversation(flat)
}
