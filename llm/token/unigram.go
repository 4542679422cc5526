package token

import (
	"fmt"
	"regexp"
	"unicode"

	"github.com/tunebus/tunebus/llm/token/normal"
	"github.com/tunebus/tunebus/llm/token/pattern"
	"github.com/tunebus/tunebus/llm/token/spacing"
	"github.com/tunebus/tunebus/llm/token/subword"
)

// shape is what a text is brought into before its spaces are written.
type shape struct {
	steps []normal.Step
	// apart cuts at white space, and leaves it out.
	apart bool
}

// words are the parts of a text, none of which is empty.
func (s shape) words(part string) []normal.Text {
	text := normal.Plain(part)
	for _, step := range s.steps {
		text = step.Apply(text)
	}
	if text.Bytes == "" {
		return nil
	}
	if !s.apart {
		return []normal.Text{text}
	}
	var out []normal.Text
	from := 0
	for to, r := range text.Bytes + " " {
		if !unicode.IsSpace(r) {
			continue
		}
		if to > from {
			out = append(out, text.Slice(from, to))
		}
		from = to + len(string(r))
	}
	return out
}

// readUnigram reads a Unigram, whose vocabulary has its spaces as SentencePiece writes them.
func readUnigram(t *Tokenizer, f *tokenizerFile) error {
	t.spacing = &spacing.Rules{}
	spaces := false
	for _, c := range list(f.Normalizer, func(c *component) []component { return c.Normalizers }) {
		step, err := newStep(&c)
		if err != nil {
			return err
		}
		t.shape.steps = append(t.shape.steps, step)
		spaces = spaces || c.Type == "Replace" && c.Pattern.String == " " && c.Content == spacing.Space
	}
	for _, c := range list(f.PreTokenizer, func(c *component) []component { return c.PreTokenizers }) {
		switch {
		case c.Type == "WhitespaceSplit" && !spaces:
			t.shape.apart = true
		case metaspace(t.spacing, &c):
			spaces = true
		default:
			return fmt.Errorf("pre-tokenizer %s of a Unigram: %w", c.Type, ErrUnsupported)
		}
	}
	switch {
	case !spaces:
		return fmt.Errorf("a Unigram that does not write %q for spaces in tokenizer.json: %w", spacing.Space, ErrUnsupported)
	case f.Decoder == nil:
		return fmt.Errorf("a Unigram without a decoder in tokenizer.json: %w", ErrUnsupported)
	case f.Model.UnknownID == nil:
		return fmt.Errorf("a Unigram without unk_id in tokenizer.json: %w", ErrUnsupported)
	}
	if err := readDecoder(t.spacing, f); err != nil {
		return err
	}
	m, err := subword.NewUnigram(f.Model.Vocab.scored, *f.Model.UnknownID, f.Model.ByteFallback)
	if err != nil {
		return fmt.Errorf("a Unigram in tokenizer.json: %w", err)
	}
	t.model = m
	return nil
}

// newStep reads a normalizer.
func newStep(c *component) (normal.Step, error) {
	if form, ok := forms[c.Type]; ok {
		return normal.Form(form), nil
	}
	switch c.Type {
	case "Precompiled":
		m, err := normal.NewCharsmap(c.Charsmap)
		if err != nil {
			return nil, fmt.Errorf("normalizer Precompiled in tokenizer.json: %w", err)
		}
		return m, nil
	case "Prepend":
		return normal.Prepend(c.Prepend), nil
	case "Lowercase":
		return normal.Lowercase{}, nil
	case "Strip":
		return normal.Strip{Left: c.StripLeft, Right: c.StripRight}, nil
	case "Replace":
		expr := c.Pattern.Regex
		if expr == "" {
			expr = regexp.QuoteMeta(c.Pattern.String)
		}
		if expr == "" {
			return nil, fmt.Errorf("normalizer Replace of nothing: %w", ErrUnsupported)
		}
		p, err := pattern.New(expr)
		if err != nil {
			return nil, fmt.Errorf("normalizer Replace in tokenizer.json: its pattern %q has %w: %w", expr, err, ErrUnsupported)
		}
		return normal.Replace{Pattern: p, Content: c.Content}, nil
	}
	return nil, fmt.Errorf("normalizer %s of a Unigram: %w", c.Type, ErrUnsupported)
}
