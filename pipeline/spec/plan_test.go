package spec_test

import (
	"testing"

	"github.com/tunebus/tunebus/pipeline/spec"
)

func TestIsHubID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		"owner/name":                    true,
		"unsloth/Qwen2.5-0.5B-bnb-4bit": true,
		"owner/name@main":               true,
		"owner/name@refs/pr/1":          true,
		"owner/name@0123456789abcdef0123456789abcdef01234567": true,
		"name":                 false,
		"":                     false,
		"/owner/name":          false,
		"./owner/name":         false,
		"../name":              false,
		"owner/..":             false,
		"owner/name@../../x":   false,
		"owner/name/more":      false,
		"owner/na me":          false,
		`owner\name/x`:         false,
		"~/name":               false,
		"owner/rows.jsonl":     false,
		"owner/rows.JSONL":     false,
		"owner/rows.tsv":       false,
		"owner/rows.csv.gz":    false,
		"owner/rows.parquet":   false,
		"https://host/x":       false,
		"owner/name\n":         false,
		"owner/name@":          false,
		"owner/name.of.things": true,
	} {
		if got := spec.IsHubID(id); got != want {
			t.Errorf("IsHubID(%q) is %t", id, got)
		}
	}
}
