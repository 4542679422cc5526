package token

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/tunebus/tunebus/llm/token/chattemplate"
	"github.com/tunebus/tunebus/llm/token/spacing"
)

// ErrUnsupported says that a tokenizer is of a kind that this package cannot
// read.
var ErrUnsupported = errors.New("not supported")

// Tokenizer is the tokenizer and the chat template of one checkpoint.
type Tokenizer struct {
	dir     string
	letters alphabet
	model   *bpe
	words   chain
	compose bool         // text is brought to Unicode's NFC first
	added   []addedToken // longest first
	first   [256]bool    // the bytes that an added token may begin with
	text    []string     // raw bytes by id
	special []bool       // by id
	eos     []int32
	pad     int32
	opening string // what stands before a text
	// spacing is nil for a vocabulary of bytes. bytes, by id, are the tokens of
	// single bytes of other vocabularies.
	spacing *spacing.Rules
	bytes   []bool

	chat *chattemplate.Templates
}

// Open reads the tokenizer of a checkpoint folder. The error wraps
// ErrUnsupported if it is of another kind than a BPE of bytes, or of characters with
// bytes for those that it lacks.
func Open(dir string) (*Tokenizer, error) {
	t := &Tokenizer{dir: dir, letters: newAlphabet()}
	if err := t.open(dir); err != nil {
		return nil, fmt.Errorf("open tokenizer %s: %w", dir, err)
	}
	return t, nil
}

func (t *Tokenizer) open(dir string) error {
	var f tokenizerFile
	if err := readJSON(dir, "tokenizer.json", true, &f); err != nil {
		return err
	}
	if f.Model.Type != "BPE" && f.Model.Type != "" {
		return fmt.Errorf("model %s in tokenizer.json: %w, want a BPE", f.Model.Type, ErrUnsupported)
	}
	var err error
	if f.spaced() {
		t.spacing, err = newSpacing(&f)
	} else {
		err = readByteLevel(t, &f)
	}
	if err != nil {
		return err
	}
	if t.model, err = newBPE(&f, t.letters); err != nil {
		return err
	}
	if err := fillIndex(t, &f); err != nil {
		return err
	}
	if err := addConfigured(t, dir); err != nil {
		return err
	}
	if err := findOpening(t, f.PostProcessor); err != nil {
		return err
	}
	if t.chat, err = chattemplate.Open(dir); err != nil {
		return err
	}
	if err := findEndings(t, dir); err != nil {
		return err
	}
	endAsTaught(t)
	return nil
}

// readByteLevel reads how a vocabulary of bytes cuts a text into words.
func readByteLevel(t *Tokenizer, f *tokenizerFile) (err error) {
	if t.compose, err = composes(f.Normalizer); err != nil {
		return err
	}
	var level bool
	if t.words, level, err = newSplitter(f.PreTokenizer); err != nil {
		return err
	}
	if !level {
		return fmt.Errorf("a BPE that is neither byte-level nor has byte_fallback in tokenizer.json: %w", ErrUnsupported)
	}
	return nil
}

// composes reads the normalizer: none, or NFC.
func composes(c *component) (bool, error) {
	if c == nil {
		return false, nil
	}
	switch c.Type {
	case "NFC":
		return true, nil
	case "Sequence":
		any := false
		for i := range c.Normalizers {
			one, err := composes(&c.Normalizers[i])
			if err != nil {
				return false, err
			}
			any = any || one
		}
		return any, nil
	}
	return false, fmt.Errorf("normalizer %s: %w", c.Type, ErrUnsupported)
}

// mostTokens bounds a vocabulary; the largest in use have some 260,000 tokens.
const mostTokens = 1 << 22

// fillIndex fills what is looked up by id, and sorts the added tokens.
func fillIndex(t *Tokenizer, f *tokenizerFile) error {
	size := int32(0)
	fits := func(id int64, text string) error {
		if id < 0 || id >= mostTokens {
			return fmt.Errorf("token %q has the id %d; ids are 0 to %d", text, id, mostTokens-1)
		}
		size = max(size, int32(id)+1)
		return nil
	}
	for text, id := range f.Model.Vocab {
		if err := fits(int64(id), text); err != nil {
			return err
		}
	}
	for _, a := range f.AddedTokens {
		if err := fits(int64(a.ID), a.Content); err != nil {
			return err
		}
	}
	t.text, t.special, t.bytes = make([]string, size), make([]bool, size), make([]bool, size)
	for raw, id := range t.model.ids {
		t.text[id] = raw
		if t.spacing != nil {
			t.text[id] = strings.ReplaceAll(raw, spacing.Space, " ")
		}
	}
	for b, id := range t.model.base {
		if t.spacing != nil {
			t.text[id], t.bytes[id] = string([]byte{byte(b)}), true
		}
	}
	for _, a := range f.AddedTokens {
		t.text[a.ID], t.special[a.ID] = a.Content, a.Special
		if a.Content != "" {
			t.added = append(t.added, a)
			t.first[a.Content[0]] = true
		}
	}
	slices.SortStableFunc(t.added, func(a, b addedToken) int { return cmp.Compare(len(b.Content), len(a.Content)) })
	return nil
}

// findEndings collects the ids that end an answer, and the one that pads.
func findEndings(t *Tokenizer, dir string) error {
	var ids []int32
	pad := int32(-1)
	for _, name := range []string{"generation_config.json", "config.json"} {
		var f idsFile
		if err := readJSON(dir, name, false, &f); err != nil {
			return err
		}
		ids = append(ids, f.EOS...)
		if pad < 0 && f.PAD != nil {
			pad = *f.PAD
		}
	}
	if id, ok := idOf(t, t.chat.Tokens()["eos_token"]); ok {
		ids = append(ids, id)
	}
	if id, ok := idOf(t, t.chat.Tokens()["pad_token"]); ok {
		pad = id
	}
	slices.Sort(ids)
	t.eos = slices.Compact(ids)
	if pad < 0 && len(t.eos) > 0 {
		pad = t.eos[0]
	}
	t.pad = max(pad, 0)
	return nil
}

// idOf finds a token by its text.
func idOf(t *Tokenizer, text string) (int32, bool) {
	if text == "" {
		return 0, false
	}
	for _, a := range t.added {
		if a.Content == text {
			return a.ID, true
		}
	}
	id, ok := t.model.ids[text]
	return id, ok
}

// VocabSize is one more than the highest id. A model may have more rows than
// that, never fewer.
func (t *Tokenizer) VocabSize() int { return len(t.text) }

// EOS lists the ids that end an answer, in ascending order.
func (t *Tokenizer) EOS() []int32 { return slices.Clone(t.eos) }

// PAD is the id that fills rows up: the padding token, the first of EOS where
// none is named, and else 0. It is masked wherever it is used.
func (t *Tokenizer) PAD() int32 { return t.pad }

// Encode returns the ids of a text, with added tokens such as <|im_end|>
// recognised, and nothing put before or after.
func (t *Tokenizer) Encode(text string) []int32 {
	ids, _ := t.encode(t.normalize(text), nil)
	return ids
}

func (t *Tokenizer) normalize(text string) string {
	if t.compose {
		return norm.NFC.String(text)
	}
	return text
}

// encode returns the ids of a normalized text and, if ends is not nil, the
// position in the text behind each of them.
func (t *Tokenizer) encode(text string, ends []int) ([]int32, []int) {
	return encodeFrom(t, text, 0, nil, ends, nil)
}

// encodeFrom encodes what stands behind an added token, or the whole text from 0 on, and
// appends to ids and ends. It calls stop, unless it is nil, behind each added token.
func encodeFrom(t *Tokenizer, text string, from int, ids []int32, ends []int, stop func(at, ids int)) ([]int32, []int) {
	plain := func(from, to int) {
		if from >= to {
			return
		}
		if t.spacing != nil {
			written, at := t.spacing.Write(text[from:to], from == 0)
			start, place := from, 0
			for _, end := range t.spacing.Cut(written) {
				for _, id := range t.model.word(written[place:end]) {
					ids = append(ids, id)
					if place += (spacing.Piece{Text: t.text[id], Byte: t.bytes[id]}).Width(); ends != nil {
						ends = append(ends, start+at[min(place, len(at)-1)])
					}
				}
				place = end
			}
			return
		}
		for _, end := range t.words.split(text[from:to], from, nil) {
			for _, id := range t.model.word(text[from:end]) {
				ids = append(ids, id)
				if ends != nil {
					from += len(t.text[id])
					ends = append(ends, from)
				}
			}
			from = end
		}
	}
	for at := from; at < len(text); {
		a, ok := t.match(text, at)
		if !ok {
			at++
			continue
		}
		left, right := at, at+len(a.Content)
		if a.LStrip {
			left = from + len(strings.TrimRightFunc(text[from:at], unicode.IsSpace))
		}
		if a.RStrip {
			right = len(text) - len(strings.TrimLeftFunc(text[right:], unicode.IsSpace))
		}
		plain(from, left)
		ids = append(ids, a.ID)
		if ends != nil {
			ends = append(ends, right)
		}
		from, at = right, right
		if stop != nil {
			stop(right, len(ids))
		}
	}
	plain(from, len(text))
	return ids, ends
}

// match finds the longest added token that stands at a position.
func (t *Tokenizer) match(text string, at int) (addedToken, bool) {
	if !t.first[text[at]] {
		return addedToken{}, false
	}
	for _, a := range t.added {
		if strings.HasPrefix(text[at:], a.Content) && (!a.SingleWord || alone(text, at, at+len(a.Content))) {
			return a, true
		}
	}
	return addedToken{}, false
}

// alone reports whether no letter, digit or underscore touches text[from:to].
func alone(text string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	after, _ := utf8.DecodeRuneInString(text[to:])
	word := func(r rune) bool { return r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r) }
	return !(from > 0 && word(before)) && !(to < len(text) && word(after))
}

// Decode returns the text of ids, without the special ones if skipSpecial.
// Where bytes are no UTF-8, as where an answer was cut inside a character, each
// broken part of a character becomes U+FFFD; ids outside the vocabulary are left out.
func (t *Tokenizer) Decode(ids []int32, skipSpecial bool) string {
	var b strings.Builder
	var pieces []spacing.Piece
	for _, id := range ids {
		switch {
		case id < 0 || int(id) >= len(t.text) || skipSpecial && t.special[id]:
		case t.spacing != nil:
			pieces = append(pieces, spacing.Piece{Text: t.text[id], Byte: t.bytes[id]})
		default:
			b.WriteString(t.text[id])
		}
	}
	if t.spacing != nil {
		return t.spacing.Decode(pieces)
	}
	return spacing.WellFormed(b.String())
}

// Bytes are those of one token, which may be a part of a character; none for an id
// outside the vocabulary.
func Bytes(t *Tokenizer, id int32) []byte {
	if id < 0 || int(id) >= len(t.text) {
		return nil
	}
	return []byte(t.text[id])
}
