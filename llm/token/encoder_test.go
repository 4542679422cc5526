package token_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token"
)

// TestAnEncoderRemembersNothingWrong: random texts that begin as others do have the
// tokens that they have alone, and the same ones are marked.
func TestAnEncoderRemembersNothingWrong(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"llama3", "qwen2", "gpt2", "digits", "gemma", "unigram-t5", "unigram-xlmr", "unigram-nfkc"} {
		tok, err := token.Open("testdata/reference/" + name)
		if err != nil {
			t.Fatal(err)
		}
		random := rand.New(rand.NewPCG(1, 2))
		words := []string{"<|im_start|>", "<|im_end|>", "<|user|>", "<|end|>", "<s>", "</s>", "</", "<|", "|>", "The", " ferry", "\n", "\n\n", " ", "  ", "7", "é", "e\u0301", "\u0301", "界", "'s", "_", "end"}
		encoder := token.NewEncoder(tok)
		text := ""
		for range 5_000 {
			text = text[:random.IntN(len(text)+1)]
			if len(text) > 300 {
				text = text[:random.IntN(20)]
			}
			text = strings.ToValidUTF8(text, "")
			for range random.IntN(8) {
				text += words[random.IntN(len(words))]
			}
			var spans [][2]int
			for at := 0; at < len(text); {
				from := at + random.IntN(len(text)-at)
				to := from + random.IntN(len(text)-from+1)
				spans, at = append(spans, [2]int{from, to}), to+1
			}
			ids, marked := encoder.EncodeMarked(text, spans)
			alone, wanted := tok.EncodeMarked(text, spans)
			if !slices.Equal(ids, alone) || !slices.Equal(marked, wanted) {
				t.Fatalf("%s: %q: %v %v, alone %v %v", name, text, ids, marked, alone, wanted)
			}
			if plain := tok.Encode(text); !slices.Equal(ids, plain) {
				t.Fatalf("%s: %q: %v, want %v", name, text, ids, plain)
			}
		}
	}
}
