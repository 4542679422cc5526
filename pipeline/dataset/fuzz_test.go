package dataset_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/shape"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// FuzzOpen: opening any rows ends with an error that names the file, or with rows
// that can be read, as many as the counts say.
func FuzzOpen(f *testing.F) {
	cases, err := filepath.Glob("testdata/cases/*/train.json*")
	if err != nil || len(cases) == 0 {
		f.Fatalf("%q, %v", cases, err)
	}
	for _, path := range cases {
		body, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, uint8(0))
	}
	f.Add([]byte(`{"conversations":[{"from":"function_call","value":"[{\"name\":\"f\"}]"}],"tools":"[1]"}`), uint8(3))
	f.Add([]byte(`{"messages":[{"role":"user","content":[{"type":"image"},"text"]}],"images":[{"path":"x"}]}`), uint8(7))
	f.Add([]byte(`{"instruction":"i","output":["a","b"],"history":[["q","a"]]}`), uint8(8))
	f.Fuzz(func(t *testing.T, body []byte, how uint8) {
		path := filepath.Join(t.TempDir(), "data.jsonl")
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		names := shape.Names()
		want := dataset.Want{
			Use: dataset.Training, Shape: shape.Shape(names[int(how)%len(names)]),
			Columns: dataset.Columns{Question: "question", Answer: "answer"}, Sees: how&16 > 0, Prefers: how&32 > 0,
		}
		if how&64 > 0 {
			want.Use = dataset.Testing
		}
		d, err := dataset.Open(t.Context(), source.Source{Path: path, Name: "mine.jsonl"}, want)
		if err != nil {
			if !strings.Contains(err.Error(), "mine.jsonl") {
				t.Errorf("%q names no file", err)
			}
			return
		}
		rows := int64(0)
		for r, err := range d.Rows(t.Context()) {
			if err != nil {
				t.Fatalf("an opened data set cannot be read: %v", err)
			}
			if want.Use == dataset.Training && !r.IsText() && len(r.Messages) < 2 {
				t.Errorf("a row with nothing to learn: %s", render(r))
			}
			_ = r.Digest() + r.Question() + r.System()
			rows++
		}
		if rows != d.Info().Counts.Rows {
			t.Errorf("%d rows were read, the counts say %d", rows, d.Info().Counts.Rows)
		}
	})
}
