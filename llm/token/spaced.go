package token

import (
	"fmt"

	"github.com/tunebus/tunebus/llm/token/spacing"
)

// spaced reports whether the vocabulary is one of characters that has bytes for those
// that it lacks, as SentencePiece makes them.
func (f *tokenizerFile) spaced() bool { return f.Model.ByteFallback }

// byteName is how such a vocabulary names a byte.
func byteName(b int) string { return fmt.Sprintf("<0x%02X>", b) }

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
		case c.Type == "Metaspace" && (c.Replacement == spacing.Space || c.Replacement == ""):
			s.Prepend, s.UnlessSpaced = map[string]spacing.Prepend{"first": spacing.First, "never": spacing.Never}[c.PrependScheme], true
			if c.PrependScheme == "always" || c.PrependScheme == "" && c.AddPrefixSpace {
				s.Prepend = spacing.Always
			}
			s.Words = c.Splits == nil || *c.Splits
		case c.Type == "Split" && c.Pattern.String == " ": // there is none any more
		default:
			return nil, fmt.Errorf("pre-tokenizer %s of a BPE with byte_fallback: %w", c.Type, ErrUnsupported)
		}
	}
	for _, c := range list(f.Decoder, func(c *component) []component { return c.Decoders }) {
		switch {
		case c.Type == "Strip" && c.Content == " " && c.Start == 1 && c.Stop == 0, c.Type == "Metaspace" && c.PrependScheme != "never":
			s.Strip = true
		case c.Type == "Replace", c.Type == "ByteFallback", c.Type == "Fuse", c.Type == "Metaspace":
		default:
			return nil, fmt.Errorf("decoder %s of a BPE with byte_fallback: %w", c.Type, ErrUnsupported)
		}
	}
	return s, nil
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
