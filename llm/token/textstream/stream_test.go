package textstream

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/llm/token/spacing"
)

// bytesOf decodes each token as a byte.
func bytesOf(ids []int32) string {
	b := make([]byte, len(ids))
	for i, id := range ids {
		b[i] = byte(id)
	}
	return spacing.WellFormed(string(b))
}

// through is what comes of a text, in pieces, and what ended it.
func through(text string, stop ...string) (pieces []string, ended string) {
	s := New(bytesOf, stop)
	for _, b := range []byte(text) {
		piece, stopped := s.Add(int32(b))
		if piece != "" {
			pieces = append(pieces, piece)
		}
		if stopped {
			break
		}
	}
	if piece, _ := s.End(); piece != "" {
		pieces = append(pieces, piece)
	}
	return pieces, s.Ended()
}

func TestPieces(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		stop []string
		want string // with | between the pieces
		end  string
	}{
		"as they come":              {"abc", nil, "a|b|c", ""},
		"a character of many bytes": {"a€b", nil, "a|€|b", ""},
		"cut in a character":        {"a\xe2\x82", nil, "a|\ufffd", ""},
		"broken bytes":              {"\x80\x80a", nil, "\ufffd|\ufffda", ""},
		"a stop text":               {"abSTOPcd", []string{"STOP"}, "a|b", "STOP"},
		"the beginning of one":      {"abSTcd", []string{"STOP"}, "a|b|STc|d", ""},
		"at the end":                {"abST", []string{"STOP"}, "a|b|ST", ""},
		"its beginning twice":       {"aSSTOP", []string{"STOP"}, "a|S", "STOP"},
		"the first of two":          {"xaab", []string{"ab", "aa"}, "x", "aa"},
		"one within another":        {"xabc", []string{"abcd", "bc"}, "x|a", "bc"},
		"at once":                   {"ab", []string{"a"}, "", "a"},
		"of nothing":                {"ab", []string{""}, "a|b", ""},
		"a character":               {"a€b", []string{"€"}, "a", "€"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pieces, ended := through(c.text, c.stop...)
			if got := strings.Join(pieces, "|"); got != c.want || ended != c.end {
				t.Errorf("pieces %q, ended by %q, want %q and %q", got, ended, c.want, c.end)
			}
		})
	}
}

// FuzzPieces: together they are the text of all tokens, up to the first stop text.
func FuzzPieces(f *testing.F) {
	f.Add("a€b\xe2\x82c", "€b", "x")
	f.Add(strings.Repeat("\x80", 100)+"ab", "b", "")
	f.Add("aaab", "ab", "aab")
	f.Add("\xf0\x9f\x98\x80 and \xf0\x9f\x98", "and", " ")
	f.Fuzz(func(t *testing.T, text, one, other string) {
		if len(text) > 500 {
			return
		}
		pieces, ended := through(text, one, other)
		ids := make([]int32, len(text))
		for i := range ids {
			ids[i] = int32(text[i])
		}
		want := bytesOf(ids)
		cut := len(want)
		for _, stop := range []string{one, other} {
			if at := strings.Index(want, stop); stop != "" && at >= 0 {
				cut = min(cut, at)
			}
		}
		got := strings.Join(pieces, "")
		if (cut == len(want)) != (ended == "") || got != want[:cut] {
			t.Errorf("%q of %q, ended by %q", got, want, ended)
		}
	})
}

// TestRealTokenizer: the pieces of a real tokenizer's tokens are the text of all.
func TestRealTokenizer(t *testing.T) {
	t.Parallel()
	tok, err := token.Open("../../../configs/quickstart/base-model")
	if err != nil {
		t.Fatal(err)
	}
	text := "Nine fish — größer als 3 €, 你好 😀, and a  tab\tbeyond.\n\nThe end"
	s, got := New(tok.DecodeAnswer, nil), ""
	for _, id := range tok.Encode(text) {
		piece, _ := s.Add(id)
		got += piece
	}
	rest, _ := s.End()
	if got += rest; got != tok.DecodeAnswer(tok.Encode(text)) || got != s.Text() || !strings.Contains(got, "größer") {
		t.Errorf("%q, want %q", got, text)
	}
}
