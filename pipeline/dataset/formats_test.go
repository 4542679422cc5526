package dataset_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// extensions are the formats of testdata/formats, which testdata/formats.py writes.
var extensions = []string{".jsonl", ".jsonl.gz", ".jsonl.zst", ".json", ".parquet", ".feather", ".arrow", ".csv", ".tsv", ".xlsx"}

// TestEveryShapeInEveryFormat: a row is the same, to its digest, in whatever format
// it was written.
func TestEveryShapeInEveryFormat(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/formats/*.jsonl")
	if err != nil || len(files) != 8 {
		t.Fatalf("%q, %v", files, err)
	}
	for _, path := range files {
		name := strings.TrimSuffix(path, ".jsonl")
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			want := digests(t, path)
			for _, ext := range extensions {
				if got := digests(t, name+ext); !slices.Equal(got, want) {
					t.Errorf("%s:\n%s\nwant\n%s", ext, strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			}
		})
	}
}

// digests returns the rows of a file, each with its digest.
func digests(t *testing.T, path string) []string {
	t.Helper()
	want := training()
	if strings.Contains(path, "references") {
		want = forTest()
	}
	src := source.Source{Path: path, Name: filepath.Base(path), Key: "fine_tuner.training_data_id"}
	d, err := dataset.Open(t.Context(), src, want)
	if err != nil {
		t.Error(err)
		return nil
	}
	var out []string
	for r, err := range d.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, render(r)+" "+r.Digest())
	}
	if len(out) != 2 {
		t.Errorf("%s: %q", path, out)
	}
	return out
}
