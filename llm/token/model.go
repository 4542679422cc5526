package token

import (
	"errors"
	"fmt"

	"golang.org/x/text/unicode/norm"

	"github.com/tunebus/tunebus/llm/token/subword"
)

// readModel reads how a text is cut into words, and what makes tokens of them.
func readModel(t *Tokenizer, f *tokenizerFile) (err error) {
	switch {
	case f.Model.Type == "Unigram":
		return readUnigram(t, f)
	case f.Model.Type != "BPE" && f.Model.Type != "":
		return fmt.Errorf("model %s in tokenizer.json: %w, want a BPE or a Unigram", f.Model.Type, ErrUnsupported)
	case f.spaced():
		t.spacing, err = newSpacing(f)
	default:
		err = readByteLevel(t, f)
	}
	if err != nil {
		return err
	}
	if t.model, err = newBPE(f, t.letters); err == nil && len(f.Model.Vocab.ids) == 0 { // all text would vanish
		return errors.New("tokenizer.json has no vocabulary (model.vocab); copy or download it again")
	}
	return err
}

func newBPE(f *tokenizerFile, letters subword.Alphabet) (subword.Model, error) {
	switch {
	case f.Model.Dropout != 0:
		return nil, fmt.Errorf("a BPE with dropout %v in tokenizer.json: %w", f.Model.Dropout, ErrUnsupported)
	case f.Model.Prefix != "":
		return nil, fmt.Errorf("a BPE with continuing_subword_prefix %q in tokenizer.json: %w", f.Model.Prefix, ErrUnsupported)
	case f.Model.Suffix != "":
		return nil, fmt.Errorf("a BPE with end_of_word_suffix %q in tokenizer.json: %w", f.Model.Suffix, ErrUnsupported)
	}
	written := letters.Decode
	if f.spaced() {
		written = func(text string) string { return text }
	}
	c := subword.Config{
		IDs:          make(map[string]int32, len(f.Model.Vocab.ids)),
		Merges:       make([]subword.Merge, len(f.Model.Merges)),
		Characters:   f.spaced(),
		IgnoreMerges: f.Model.IgnoreMerges,
		FuseUnknown:  f.Model.FuseUnknown,
	}
	for text, id := range f.Model.Vocab.ids {
		c.IDs[written(text)] = int32(id)
	}
	for i, m := range f.Model.Merges {
		c.Merges[i] = subword.Merge{Left: written(m.Left), Right: written(m.Right)}
	}
	if f.Model.Unknown != "" {
		c.Unknown = written(f.Model.Unknown)
	}
	m, err := subword.NewBPE(c)
	if err != nil {
		return nil, fmt.Errorf("a BPE in tokenizer.json: %w", err)
	}
	return m, nil
}

// readByteLevel reads how a vocabulary of bytes cuts a text into words.
func readByteLevel(t *Tokenizer, f *tokenizerFile) (err error) {
	if t.form, err = formOf(f.Normalizer); err != nil {
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

// forms are Unicode's normalization forms by the names of their normalizers.
var forms = map[string]norm.Form{"NFC": norm.NFC, "NFD": norm.NFD, "NFKC": norm.NFKC, "NFKD": norm.NFKD}

// formOf reads the normalizer of a vocabulary of bytes: none, or one form.
func formOf(c *component) (*norm.Form, error) {
	var found *norm.Form
	for _, part := range list(c, func(c *component) []component { return c.Normalizers }) {
		form, ok := forms[part.Type]
		if !ok || found != nil && *found != form {
			return nil, fmt.Errorf("normalizer %s: %w", part.Type, ErrUnsupported)
		}
		found = &form
	}
	return found, nil
}
