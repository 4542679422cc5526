package report

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWorkbookIsSteady: a run's workbook is the same bytes whenever it is
// written.
func TestWorkbookIsSteady(t *testing.T) {
	t.Parallel()
	r := Report{Scores: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(`{"question":"a","ground_truth":"b","answer":"b","scores":{"exact_match":1,"rouge_score":0.5}}` + "\n")), nil
	}}
	var first string
	for i := range 5 {
		dir := t.TempDir()
		if _, err := Write(t.Context(), dir, r); err != nil {
			t.Fatal(err)
		}
		body, err := os.ReadFile(filepath.Join(dir, WorkbookName))
		if err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			first = string(body)
		} else if string(body) != first {
			t.Fatal("written again, it is another file")
		}
	}
}
