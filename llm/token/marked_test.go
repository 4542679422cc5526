package token_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestTokensThatOverlapAreMarked: of a token that begins before a span and ends in
// it, as of one that a combining character joins across its border.
func TestTokensThatOverlapAreMarked(t *testing.T) {
	t.Parallel()
	tok := open(t, filepath.Join(reference, "qwen2"))
	for _, c := range []struct {
		text  string
		spans [][2]int
		want  string
	}{
		{"the pier", [][2]int{{0, 8}}, "the pier"},
		{"the pier", [][2]int{{4, 8}}, "pier"},
		{"the pier", nil, ""},
		{"the pier", [][2]int{{3, 3}}, ""},
		{"the pier", [][2]int{{2, 3}}, "he"}, // the token begins before
		{"<|user|>at<|end|>", [][2]int{{8, 10}}, "at"},
		{"<|user|>at<|end|>at<|end|>", [][2]int{{8, 9}, {17, 26}}, "atat<|end|>"},
		{"u\u0308ber e\u0301t", [][2]int{{1, 3}}, "über"},                   // the mark alone
		{"u\u0308ber e\u0301t", [][2]int{{7, 8}}, " é"},                     // the letter under a mark
		{"e\u0301e\u0301 <|bot|> the", [][2]int{{15, 18}}, " the"},          // positions move with what is composed before
		{"e\u0301e\u0301 <|bot|> the", [][2]int{{0, 2}, {15, 16}}, "é the"}, // a span that ends inside a mark
	} {
		ids, marked := tok.EncodeMarked(c.text, c.spans)
		if !slices.Equal(ids, tok.Encode(c.text)) {
			t.Errorf("%q: ids %v, want %v", c.text, ids, tok.Encode(c.text))
		}
		var in []int32
		for i, id := range ids {
			if marked[i] {
				in = append(in, id)
			}
		}
		if got := tok.Decode(in, false); got != c.want {
			t.Errorf("%q, %v: marked %q, want %q", c.text, c.spans, got, c.want)
		}
	}
}

// TestSpacedMarks: of a vocabulary of characters, the marked tokens are those that
// have the span's text.
func TestSpacedMarks(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"llama2", "mistral", "gemma", "metaspace", "never"} {
		tok := open(t, filepath.Join(reference, kind))
		for _, text := range []string{"The ferry leaves, and the ferry comes back.", " Fähre über 港に", "<|user|> hi  there<s>ferry</s>\tx 🚢🚢 done", "a <mask> b"} {
			for from := range text {
				for to := range text {
					if to <= from {
						continue
					}
					ids, marked := tok.EncodeMarked(text, [][2]int{{from, to}})
					if !slices.Equal(ids, tok.Encode(text)) {
						t.Fatalf("%s, %q: other ids", kind, text)
					}
					var of []int32
					for i, id := range ids {
						if marked[i] {
							of = append(of, id)
						}
					}
					got := tok.Decode(of, false)
					if want := text[from:to]; !strings.Contains(strings.ReplaceAll(got, " ", ""), strings.ReplaceAll(want, " ", "")) || len(got) > len(want)+40 {
						t.Fatalf("%s, %q: the tokens of %q are %q", kind, text, want, got)
					}
				}
			}
		}
	}
}
