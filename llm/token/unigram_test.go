package token_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token"
)

// TestUnigramsThatAreNotKnown: what cannot be read is named.
func TestUnigramsThatAreNotKnown(t *testing.T) {
	t.Parallel()
	const (
		model   = `"model":{"type":"Unigram","unk_id":0,"vocab":[["<unk>",0],["a",-1]]}`
		spaces  = `"pre_tokenizer":{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"always"}`
		decoder = `"decoder":{"type":"Metaspace","replacement":"\u2581","prepend_scheme":"always"}`
	)
	for name, c := range map[string]struct {
		parts []string
		want  string
	}{
		"normalizer":      {[]string{model, spaces, decoder, `"normalizer":{"type":"Nmt"}`}, "normalizer Nmt of a Unigram: not supported"},
		"pattern":         {[]string{model, spaces, decoder, `"normalizer":{"type":"Replace","pattern":{"Regex":"(?<=a)b"},"content":"c"}`}, `"(?<=a)b" has a look behind`},
		"replaces none":   {[]string{model, spaces, decoder, `"normalizer":{"type":"Replace","pattern":{"String":""},"content":"c"}`}, "normalizer Replace of nothing: not supported"},
		"table":           {[]string{model, spaces, decoder, `"normalizer":{"type":"Precompiled","precompiled_charsmap":"/////w=="}`}, "precompiled_charsmap: the length of its trie"},
		"no table":        {[]string{model, spaces, decoder, `"normalizer":{"type":"Precompiled"}`}, "precompiled_charsmap is shorter"},
		"pre-tokenizer":   {[]string{model, decoder, `"pre_tokenizer":{"type":"Punctuation"}`}, "pre-tokenizer Punctuation of a Unigram: not supported"},
		"spaces":          {[]string{model, decoder}, "a Unigram that does not write"},
		"no decoder":      {[]string{model, spaces}, "a Unigram without a decoder"},
		"decoder":         {[]string{model, spaces, `"decoder":{"type":"WordPiece"}`}, "decoder WordPiece of a vocabulary of characters: not supported"},
		"without unknown": {[]string{`"model":{"type":"Unigram","vocab":[["a",-1]]}`, spaces, decoder}, "a Unigram without unk_id"},
		"unknown":         {[]string{`"model":{"type":"Unigram","unk_id":7,"vocab":[["a",-1]]}`, spaces, decoder}, "unk_id is 7, which is none of the 1 tokens"},
		"entry":           {[]string{`"model":{"type":"Unigram","unk_id":0,"vocab":[["a",-1],["b"]]}`, spaces, decoder}, "entry 1 is no pair"},
	} {
		_, err := token.Open(folder(t, map[string]string{"tokenizer.json": "{" + strings.Join(c.parts, ",") + "}"}))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if strings.Contains(c.want, "not supported") && !errors.Is(err, token.ErrUnsupported) {
			t.Errorf("%s: %v is no ErrUnsupported", name, err)
		}
	}
}

// TestMarksOfUnigrams: tokens of text that a table shortens and lengthens are marked where
// they stand in the text as it was.
func TestMarksOfUnigrams(t *testing.T) {
	t.Parallel()
	tok := open(t, reference+"/unigram-xlmr")
	text := "the \ufb01ne\u200b ferry   leaves \u2167 at"
	from := strings.Index(text, "ferry")
	ids, marked := tok.EncodeMarked(text, [][2]int{{from, from + len("ferry")}})
	if !slices.Equal(ids, tok.Encode(text)) {
		t.Errorf("ids %v, want %v", ids, tok.Encode(text))
	}
	var inside []int32
	for i, id := range ids {
		if marked[i] {
			inside = append(inside, id)
		}
	}
	if got := tok.Decode(inside, false); got != "ferry" {
		t.Errorf("%q is marked", got)
	}
}
