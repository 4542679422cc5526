package token

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// space stands for a space in vocabularies made by SentencePiece.
const space = "\u2581"

// spacing is how a tokenizer that was made by SentencePiece writes the spaces of a
// text, and reads them back.
type spacing struct {
	// prepend says which parts of a text, between tokens that are found before
	// anything else, get a space before them.
	prepend prependScheme
	// unlessSpaced leaves out the space before a part that begins with one.
	unlessSpaced bool
	// words says that each space begins a word; no merge crosses its border.
	words bool
	// strip says that one space at the beginning of what is decoded is left out.
	strip bool
}

// prependScheme says what gets a space before it.
type prependScheme int

const (
	prependNever prependScheme = iota
	prependFirst               // what begins the text
	prependAlways
)

// spaced reports whether the vocabulary is one of characters that has bytes for those
// that it lacks, as SentencePiece makes them.
func (f *tokenizerFile) spaced() bool { return f.Model.ByteFallback }

// byteName is how such a vocabulary names a byte.
func byteName(b int) string { return fmt.Sprintf("<0x%02X>", b) }

// newSpacing reads the parts of a tokenizer that deal with spaces.
func newSpacing(f *tokenizerFile) (*spacing, error) {
	s := &spacing{}
	for _, c := range list(f.Normalizer, func(c *component) []component { return c.Normalizers }) {
		switch {
		case c.Type == "Prepend" && c.Prepend == space:
			s.prepend = prependAlways
		case c.Type == "Replace" && c.Pattern.String == " " && c.Content == space:
		default:
			return nil, fmt.Errorf("normalizer %s of a BPE with byte_fallback: %w", c.Type, ErrUnsupported)
		}
	}
	for _, c := range list(f.PreTokenizer, func(c *component) []component { return c.PreTokenizers }) {
		switch {
		case c.Type == "Metaspace" && (c.Replacement == space || c.Replacement == ""):
			s.prepend, s.unlessSpaced = map[string]prependScheme{"first": prependFirst, "never": prependNever}[c.PrependScheme], true
			if c.PrependScheme == "always" || c.PrependScheme == "" && c.AddPrefixSpace {
				s.prepend = prependAlways
			}
			s.words = c.Splits == nil || *c.Splits
		case c.Type == "Split" && c.Pattern.String == " ": // there is none any more
		default:
			return nil, fmt.Errorf("pre-tokenizer %s of a BPE with byte_fallback: %w", c.Type, ErrUnsupported)
		}
	}
	for _, c := range list(f.Decoder, func(c *component) []component { return c.Decoders }) {
		switch {
		case c.Type == "Strip" && c.Content == " " && c.Start == 1 && c.Stop == 0, c.Type == "Metaspace" && c.PrependScheme != "never":
			s.strip = true
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

// write is a part of a text as the vocabulary writes it, and where each of its bytes,
// and its end, lies in the part. first says that the part begins the text.
func (s *spacing) write(part string, first bool) (text string, at []int) {
	var b strings.Builder
	put := func(what string, from int, each int) {
		for i := range len(what) {
			at = append(at, from+i*each)
		}
		b.WriteString(what)
	}
	begins := strings.HasPrefix(part, " ") || strings.HasPrefix(part, space)
	if part != "" && (s.prepend == prependAlways || s.prepend == prependFirst && first) && !(s.unlessSpaced && begins) {
		put(space, 0, 0)
	}
	for i := 0; i < len(part); {
		_, size := utf8.DecodeRuneInString(part[i:])
		if part[i] == ' ' {
			put(space, i, 0)
		} else {
			put(part[i:i+size], i, 1)
		}
		i += size
	}
	return b.String(), append(at, len(part))
}

// cut are the words of what write has written, by their ends.
func (s *spacing) cut(text string) []int {
	var ends []int
	for i := 1; s.words && i < len(text); i++ {
		if strings.HasPrefix(text[i:], space) {
			ends = append(ends, i)
		}
	}
	return append(ends, len(text))
}

// spacedWords appends the ids of a part of a text, and where each ends.
func (t *Tokenizer) spacedWords(ids []int32, ends []int, part string, start int) ([]int32, []int) {
	text, at := t.spacing.write(part, start == 0)
	from := 0
	for _, end := range t.spacing.cut(text) {
		for _, id := range t.model.word(text[from:end]) {
			ids = append(ids, id)
			from += t.width(id)
			if ends != nil {
				ends = append(ends, start+at[min(from, len(at)-1)])
			}
		}
		from = end
	}
	return ids, ends
}

// width is how many bytes a token takes of what write has written.
func (t *Tokenizer) width(id int32) int {
	if t.bytes[id] {
		return 1
	}
	return len(t.text[id]) + strings.Count(t.text[id], " ")*(len(space)-1)
}

// decodeSpaced is Decode of such a vocabulary. Bytes that are tokens of their own are
// read together; where they are no UTF-8, each becomes U+FFFD.
func (t *Tokenizer) decodeSpaced(ids []int32, skipSpecial bool) string {
	var b, open strings.Builder
	flush := func() {
		if s := open.String(); utf8.ValidString(s) {
			b.WriteString(s)
		} else {
			b.WriteString(strings.Repeat("\uFFFD", len(s)))
		}
		open.Reset()
	}
	for _, id := range ids {
		switch {
		case id < 0 || int(id) >= len(t.text) || skipSpecial && t.special[id]:
		case t.bytes[id]:
			open.WriteString(t.text[id])
		default:
			flush()
			b.WriteString(t.text[id])
		}
	}
	flush()
	text := b.String()
	if t.spacing.strip {
		text = strings.TrimPrefix(text, " ")
	}
	return text
}
