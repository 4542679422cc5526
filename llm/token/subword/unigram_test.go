package subword_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token/subword"
)

// TestUnigram holds the way of the best score, by hand.
func TestUnigram(t *testing.T) {
	t.Parallel()
	m, err := subword.NewUnigram([]subword.Scored{{"<unk>", 0}, {"a", -3}, {"b", -3}, {"ab", -5}, {"abc", -9}, {"c", -3.5}, {"b", -2.5}}, 0, false)
	if err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string][]subword.Token{
		"ab":             {{3, 2}},
		"abc":            {{3, 2}, {5, 1}},
		"bb":             {{6, 1}, {6, 1}}, // of two tokens with one text the last counts
		"a\u00e4\u00f6b": {{1, 1}, {0, 4}, {6, 1}},
		"<unk>":          {{0, 5}},
		"":               nil,
		"\xff\xfea":      {{0, 2}, {1, 1}},
	} {
		if got := m.Word(text); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
	if got := m.Word(strings.Repeat("ab", 100_000)); len(got) != 100_000 {
		t.Errorf("%d tokens", len(got))
	}
}

// TestUnknownOfABPE: a vocabulary of characters that lacks some bytes has its unknown token
// there, and one for all in a row if it says so.
func TestUnknownOfABPE(t *testing.T) {
	t.Parallel()
	ids := map[string]int32{"<unk>": 0, "a": 1, "<0xC3>": 2, "<0xA4>": 3}
	for fuse, want := range map[bool][]subword.Token{
		true:  {{1, 1}, {2, 1}, {3, 1}, {0, 5}, {1, 1}},
		false: {{1, 1}, {2, 1}, {3, 1}, {0, 2}, {0, 3}, {1, 1}},
	} {
		m, err := subword.NewBPE(subword.Config{IDs: ids, Characters: true, Unknown: "<unk>", FuseUnknown: fuse})
		if err != nil {
			t.Fatal(err)
		}
		if got := m.Word("a\u00e4\u00f6\u20aca"); !slices.Equal(got, want) {
			t.Errorf("fused %t: %v, want %v", fuse, got, want)
		}
	}
	if _, err := subword.NewBPE(subword.Config{IDs: ids, Unknown: "<none>"}); err == nil {
		t.Error("an unk_token that is none was taken")
	}
}
