package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
)

const committedModel = "../../configs/quickstart/base-model"

// same checks that files in two folders are equal.
func same(t *testing.T, have, want string, names ...string) {
	t.Helper()
	for _, name := range names {
		a, err := os.ReadFile(filepath.Join(have, name))
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(want, name))
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s of %s and of %s differ (%v); run make base-model", name, have, want, err)
		}
	}
}

// TestCommittedTokenizerIsReproduced: the committed files are those of this program.
// The model is not trained here, because that takes minutes; the next test shows
// that the same seed gives the same model.
func TestCommittedTokenizerIsReproduced(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, _, err := makeTokenizer(dir, corpus(worlds(42))); err != nil {
		t.Fatal(err)
	}
	same(t, committedModel, dir, "tokenizer.json", "tokenizer_config.json", "generation_config.json")
}

// TestSameSeedMakesTheSameModel trains with a part of the corpus.
func TestSameSeedMakesTheSameModel(t *testing.T) {
	t.Parallel()
	pairs := corpus(worlds(42))[:48]
	first, again, other := t.TempDir(), t.TempDir(), t.TempDir()
	for dir, seed := range map[string]uint64{first: 3, again: 3, other: 4} {
		if err := makeModel(t.Context(), dir, pairs, seed, 1); err != nil {
			t.Fatal(err)
		}
	}
	same(t, first, again, "config.json", "model.safetensors")
	a, errA := os.ReadFile(filepath.Join(first, "model.safetensors"))
	b, errB := os.ReadFile(filepath.Join(other, "model.safetensors"))
	if errA != nil || errB != nil || bytes.Equal(a, b) {
		t.Errorf("another seed makes the same model (%v, %v)", errA, errB)
	}
}

// TestCommittedModelIsSmall: it is small, and answers questions of its corpus.
func TestCommittedModelIsSmall(t *testing.T) {
	t.Parallel()
	size := int64(0)
	files, err := os.ReadDir(committedModel)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		size += info.Size()
	}
	model, err := llm.Open(committedModel)
	if err != nil {
		t.Fatal(err)
	}
	tok, err := token.Open(committedModel)
	if err != nil {
		t.Fatal(err)
	}
	if n := model.Parameters(); size > 6_000_000 || n < 1_000_000 || n > 3_000_000 || tok.VocabSize() != model.Config().VocabSize {
		t.Errorf("%d bytes, %d weights, %d tokens of %d", size, n, tok.VocabSize(), model.Config().VocabSize)
	}
	prompts := [][]int32{}
	questions := map[string]string{"What is four plus five?": "Nine.", "What is the opposite of wet?": "Dry.", "Say halibut.": "Halibut."}
	var want []string
	for q, a := range questions {
		text, err := tok.Render([]token.Message{{Role: "user", Content: q}}, true)
		if err != nil {
			t.Fatal(err)
		}
		prompts, want = append(prompts, tok.Encode(text)), append(want, a)
	}
	err = model.Generate(t.Context(), prompts, llm.GenerateConfig{MaxNewTokens: 8, EOS: tok.EOS()}, func(i int, ids []int32) error {
		if got := tok.Decode(ids, true); got != want[i] {
			t.Errorf("it says %q, want %q", got, want[i])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
