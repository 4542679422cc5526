package huggingface

import (
	"errors"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// TestWithoutCache: where there is no folder for the cache, only what is on the Hub cannot be
// had, and the error says what to do.
func TestWithoutCache(t *testing.T) {
	t.Parallel()
	c, err := New(Options{Cache: t.TempDir(), Endpoint: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	c.cache = cache{missing: errors.New("no folder")}
	_, model := c.Model(t.Context(), "a/b", "")
	_, data := c.Dataset(t.Context(), "a/b", source.Selection{})
	for what, err := range map[string]error{
		"model": model, "dataset": data, "has model": c.HasModel(t.Context(), "a/b"), "has dataset": c.HasDataset(t.Context(), "a/b"),
	} {
		if err == nil || !strings.Contains(err.Error(), "a/b: no folder") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
