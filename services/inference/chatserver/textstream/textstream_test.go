package textstream_test

import (
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/services/inference/chatserver/textstream"
)

// tokenizer is that of the quickstart.
func tokenizer(t testing.TB) *token.Tokenizer {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	tok, err := token.Open(filepath.Join(filepath.Dir(file), "..", "..", "..", "..", "configs", "quickstart", "base-model"))
	if err != nil {
		t.Fatal(err)
	}
	return tok
}

// stream reads an answer piece by piece.
func stream(s *textstream.Stream, ids []int32) (pieces []string) {
	for _, id := range ids {
		pieces = append(pieces, s.Add(id))
		if s.Stopped() {
			break
		}
	}
	return append(pieces, s.End())
}

// TestPieces: the pieces of any tokens are the text of all of them, and each piece is
// whole characters.
func TestPieces(t *testing.T) {
	t.Parallel()
	tok := tokenizer(t)
	texts := []string{"", "hello", "naïve café — 日本語 🙂🙃 שלום", strings.Repeat("🙂", 20), "a\nb\n\nc", "\u0301e"}
	var all [][]int32
	for _, text := range texts {
		all = append(all, tok.Encode(text))
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 200 { // most of them are broken characters
		ids := make([]int32, rng.IntN(60))
		for i := range ids {
			ids[i] = rng.Int32N(int32(tok.VocabSize()))
		}
		all = append(all, ids)
	}
	for _, ids := range all {
		s := textstream.New(tok.DecodeAnswer, nil)
		pieces := stream(s, ids)
		want := tok.DecodeAnswer(ids)
		if got := strings.Join(pieces, ""); got != want {
			t.Errorf("%v: %q, want %q", ids, got, want)
		}
		if s.Length() != utf8.RuneCountInString(want) {
			t.Errorf("%v: %d characters, want %d", ids, s.Length(), utf8.RuneCountInString(want))
		}
		for _, p := range pieces {
			if !utf8.ValidString(p) {
				t.Errorf("%v: the piece %q ends inside a character", ids, p)
			}
		}
	}
}

// letters decodes ids as letters, each its own.
func letters(ids []int32) string {
	var b strings.Builder
	for _, id := range ids {
		b.WriteRune(id)
	}
	return b.String()
}

// TestStops: the text ends before the first stop text, also where that comes in parts,
// and what only begins as one is a part of the text.
func TestStops(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text    string
		stops   []string
		want    string
		stopped bool
	}{
		{"one two", []string{" t"}, "one", true},
		{"one two", []string{" x"}, "one two", false},
		{"one two", []string{"two", "one"}, "", true},
		{"one tw", []string{"two"}, "one tw", false},
		{"aaab", []string{"aab"}, "a", true},
		{"ababac", []string{"abac"}, "ab", true},
		{"xyz", []string{"xyz"}, "", true},
		{"é🙂", []string{"🙂"}, "é", true},
		{"ab", []string{"abc", "b"}, "a", true},
		{"abc", []string{"bcd", "c"}, "ab", true},
	} {
		s := textstream.New(letters, c.stops)
		pieces := stream(s, []rune(c.text))
		if got := strings.Join(pieces, ""); got != c.want || s.Stopped() != c.stopped || s.Length() != utf8.RuneCountInString(c.want) {
			t.Errorf("%q with %q: %q, stopped %v, length %d", c.text, c.stops, got, s.Stopped(), s.Length())
		}
		if c.stopped && (s.Add('x') != "" || s.End() != "") {
			t.Errorf("%q goes on behind %q", c.text, c.stops)
		}
	}
}

// FuzzStops: the text ends where the first stop text begins, however it comes.
func FuzzStops(f *testing.F) {
	f.Add("one two three", "two", "th")
	f.Add("aaaa", "aab", "a")
	f.Fuzz(func(t *testing.T, text, a, b string) {
		if a == "" || b == "" || !utf8.ValidString(text) || strings.ContainsRune(text, utf8.RuneError) {
			return
		}
		s := textstream.New(letters, []string{a, b})
		got := strings.Join(stream(s, []rune(text)), "")
		want, stopped := text, false
		// A stop text ends the answer with the character that completes one.
		for i, r := range text {
			end := i + utf8.RuneLen(r)
			first := -1
			for _, stop := range []string{a, b} {
				if at := strings.Index(text[:end], stop); at >= 0 && (first < 0 || at < first) {
					first = at
				}
			}
			if first >= 0 {
				want, stopped = text[:first], true
				break
			}
		}
		if got != want || s.Stopped() != stopped {
			t.Errorf("%q with %q and %q: %q, want %q", text, a, b, got, want)
		}
	})
}
