package token

import (
	"encoding/json"
	"fmt"
	"strings"
)

// postProcessor is what is put around a text that is not rendered by a chat template.
type postProcessor struct {
	Type       string          `json:"type"`
	Processors []postProcessor `json:"processors"`
	Single     []struct {
		SpecialToken *struct {
			ID string `json:"id"`
		} `json:"SpecialToken"`
	} `json:"single"`
	SpecialTokens map[string]struct {
		IDs []int32 `json:"ids"`
	} `json:"special_tokens"`
	CLS []json.RawMessage `json:"cls"` // text and id
}

// opening are the ids before a text.
func (p *postProcessor) opening() ([]int32, error) {
	if p == nil {
		return nil, nil
	}
	switch p.Type {
	case "ByteLevel": // it changes offsets alone
		return nil, nil
	case "Sequence":
		var out []int32
		for i := range p.Processors {
			ids, err := p.Processors[i].opening()
			if err != nil {
				return nil, err
			}
			out = append(ids, out...) // the last one goes outermost
		}
		return out, nil
	case "TemplateProcessing":
		var out []int32
		for _, piece := range p.Single {
			if piece.SpecialToken == nil { // the text
				break
			}
			special, ok := p.SpecialTokens[piece.SpecialToken.ID]
			if !ok {
				return nil, fmt.Errorf("post_processor TemplateProcessing in tokenizer.json: the special token %q has no ids", piece.SpecialToken.ID)
			}
			out = append(out, special.IDs...)
		}
		return out, nil
	case "BertProcessing", "RobertaProcessing":
		var id int32
		if len(p.CLS) != 2 || json.Unmarshal(p.CLS[1], &id) != nil {
			return nil, fmt.Errorf("post_processor %s in tokenizer.json: cls is no pair of a text and an id", p.Type)
		}
		return []int32{id}, nil
	}
	return nil, fmt.Errorf("post_processor %s: %w", p.Type, ErrUnsupported)
}

// findOpening fills what stands before a text.
func findOpening(t *Tokenizer, p *postProcessor) error {
	ids, err := p.opening()
	if err != nil {
		return err
	}
	var text strings.Builder
	for _, id := range ids {
		if id < 0 || int(id) >= len(t.text) {
			return fmt.Errorf("post_processor in tokenizer.json: the id %d is none of the %d tokens", id, len(t.text))
		}
		text.WriteString(t.text[id])
	}
	t.opening = text.String()
	return nil
}

// Begin puts before a text what a model expects there, which is the token that begins a
// text in most cases and nothing in many others. It is for texts that no chat template
// renders: templates write it themselves. A text that begins with it stays as it is.
func (t *Tokenizer) Begin(text string) string {
	if strings.HasPrefix(text, t.opening) {
		return text
	}
	return t.opening + text
}
