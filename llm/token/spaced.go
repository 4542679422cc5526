package token

import (
	"fmt"

	"github.com/tunebus/tunebus/llm/token/spacing"
)

// spaced reports whether the vocabulary is one of characters that has bytes for those
// that it lacks, as SentencePiece makes them.
func (f *tokenizerFile) spaced() bool { return f.Model.ByteFallback }

// newSpacing reads the parts of a tokenizer that deal with spaces.
func newSpacing(f *tokenizerFile) (*spacing.Rules, error) {
	s := &spacing.Rules{}
	for _, c := range list(f.Normalizer, func(c *component) []component { return c.Normalizers }) {
		switch {
		case c.Type == "Prepend" && c.Prepend == spacing.Space:
			s.Prepend = spacing.Always
		case c.Type == "Replace" && c.Pattern.String == " " && c.Content == spacing.Space:
		default:
			return nil, fmt.Errorf("normalizer %s of a BPE with byte_fallback: %w", c.Type, ErrUnsupported)
		}
	}
	for _, c := range list(f.PreTokenizer, func(c *component) []component { return c.PreTokenizers }) {
		switch {
		case metaspace(s, &c):
		case c.Type == "Split" && c.Pattern.String == " ": // there is none any more
		default:
			return nil, fmt.Errorf("pre-tokenizer %s of a BPE with byte_fallback: %w", c.Type, ErrUnsupported)
		}
	}
	return s, readDecoder(s, f)
}

// readDecoder reads how tokens become a text.
func readDecoder(s *spacing.Rules, f *tokenizerFile) error {
	for _, c := range list(f.Decoder, func(c *component) []component { return c.Decoders }) {
		switch {
		case c.Type == "Strip" && c.Content == " " && c.Start == 1 && c.Stop == 0:
			s.Strip = true
		case c.Type == "Metaspace" && (c.Replacement == spacing.Space || c.Replacement == ""):
			s.StripFirst = c.PrependScheme != "never"
		case c.Type == "ByteFallback":
			s.Bytes = true
		case c.Type == "Replace" && c.Pattern.String == spacing.Space && c.Content == " ", c.Type == "Fuse":
		default:
			return fmt.Errorf("decoder %s of a vocabulary of characters: %w", c.Type, ErrUnsupported)
		}
	}
	return nil
}

// metaspace reads the pre-tokenizer of this name. It reports whether it can be read.
func metaspace(s *spacing.Rules, c *component) bool {
	if c.Type != "Metaspace" || c.Replacement != spacing.Space && c.Replacement != "" {
		return false
	}
	s.Prepend, s.UnlessSpaced = map[string]spacing.Prepend{"first": spacing.First, "never": spacing.Never}[c.PrependScheme], true
	if c.PrependScheme == "always" || c.PrependScheme == "" && c.AddPrefixSpace {
		s.Prepend = spacing.Always
	}
	s.Words = c.Splits == nil || *c.Splits
	return true
}

// encodeSpaced appends the tokens of a part of a text that begins at start, and where they
// end in the text unless ends is nil.
func encodeSpaced(t *Tokenizer, part string, start int, ids []int32, ends []int) ([]int32, []int) {
	for _, word := range t.shape.words(part) {
		written, at := t.spacing.Write(word.Bytes, start == 0 && word.At[0] == 0)
		place := 0
		for _, end := range t.spacing.Cut(written) {
			for _, token := range t.model.Word(written[place:end]) {
				ids = append(ids, token.ID)
				if place += token.Width; ends != nil {
					ends = append(ends, start+word.At[at[min(place, len(at)-1)]])
				}
			}
			place = end
		}
	}
	return ids, ends
}

// list are the parts of a component that is a sequence, and else the component.
func list(c *component, parts func(*component) []component) []component {
	switch {
	case c == nil:
		return nil
	case c.Type == "Sequence":
		return parts(c)
	}
	return []component{*c}
}
