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
	"github.com/tunebus/tunebus/llm/token/subword"
)

// ErrUnsupported says that a tokenizer is of a kind that this package cannot
// read.
var ErrUnsupported = errors.New("not supported")

// Tokenizer is the tokenizer and the chat template of one checkpoint.
type Tokenizer struct {
	dir     string
	letters subword.Alphabet
	model   subword.Model
	words   chain
	form    *norm.Form   // text is brought to it first, unless it is nil
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
	shape   shape // of what a Unigram sees

	chat *chattemplate.Templates
}

// Open reads the tokenizer of a checkpoint folder. The error wraps
// ErrUnsupported if it is of another kind than a BPE of bytes, one of characters with
// bytes for those that it lacks, or a Unigram.
func Open(dir string) (*Tokenizer, error) {
	t := &Tokenizer{dir: dir, letters: subword.NewAlphabet()}
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
	err := readModel(t, &f)
	if err != nil {
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
	if n := len(f.Model.Vocab.scored); n > 0 {
		if err := fits(int64(n-1), f.Model.Vocab.scored[n-1].Text); err != nil {
			return err
		}
	}
	for text, id := range f.Model.Vocab.ids {
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
	for text, id := range f.Model.Vocab.ids {
		t.text[id] = readable(t, text)
	}
	for id, piece := range f.Model.Vocab.scored {
		t.text[id] = readable(t, piece.Text)
	}
	for b := 0; t.spacing != nil && t.spacing.Bytes && b < 256; b++ {
		if id, ok := t.model.ID(subword.ByteName(byte(b))); ok {
			t.text[id], t.bytes[id] = string([]byte{byte(b)}), true
		}
	}
	for _, a := range f.AddedTokens {
		t.text[a.ID], t.special[a.ID], t.bytes[a.ID] = spacesIn(t, a.Content), a.Special, false
		if a.Content != "" {
			t.added = append(t.added, a)
			t.first[a.Content[0]] = true
		}
	}
	slices.SortStableFunc(t.added, func(a, b addedToken) int { return cmp.Compare(len(b.Content), len(a.Content)) })
	return nil
}

// readable is the text of a token of the vocabulary.
func readable(t *Tokenizer, text string) string {
	if t.spacing == nil {
		return t.letters.Decode(text)
	}
	return spacesIn(t, text)
}

// spacesIn writes the spaces of a token, added ones too, as a text has them.
func spacesIn(t *Tokenizer, text string) string {
	if t.spacing == nil {
		return text
	}
	return strings.ReplaceAll(text, spacing.Space, " ")
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
	return t.model.ID(text)
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
	if t.form != nil {
		return t.form.String(text)
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
			ids, ends = encodeSpaced(t, text[from:to], from, ids, ends)
			return
		}
		for _, end := range t.words.split(text[from:to], from, nil) {
			for _, token := range t.model.Word(text[from:end]) {
				ids = append(ids, token.ID)
				if ends != nil {
					from += token.Width
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

// alone reports whether no character of a word touches text[from:to].
func alone(text string, from, to int) bool {
	before, _ := utf8.DecodeLastRuneInString(text[:from])
	after, _ := utf8.DecodeRuneInString(text[to:])
	return !(from > 0 && ofWord(before)) && !(to < len(text) && ofWord(after))
}

// ofWord reports whether a character belongs to a word, as Unicode's annex 18 says.
func ofWord(r rune) bool {
	return unicode.In(r, unicode.L, unicode.M, unicode.Nd, unicode.Nl, unicode.Pc, unicode.Other_Alphabetic, unicode.Join_Control)
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
