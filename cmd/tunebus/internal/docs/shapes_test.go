package docs_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// formatColumns are the extensions of the files that hold a column of the table of
// shapes and formats.
var formatColumns = map[string][]string{
	"JSON lines": {".jsonl", ".jsonl.gz", ".jsonl.zst"}, "JSON": {".json"}, "Parquet": {".parquet"}, "Arrow, Feather": {".arrow", ".feather"},
	"CSV": {".csv"}, "TSV": {".tsv"}, "XLSX": {".xlsx"},
}

// shapeFiles are the files of pipeline/dataset/testdata/formats that hold a row of the
// table, with the shape that they are read as.
var shapeFiles = map[string][2]string{
	"`question_answer`":          {"question_answer", "question_answer"},
	"`messages`":                 {"messages", "messages"},
	"`conversations`":            {"conversations", "conversations"},
	"`prompt_completion`, texts": {"prompt_completion", "prompt_completion"},
	"`prompt_completion`, lists": {"prompt_completion_lists", "prompt_completion"},
	"`alpaca`":                   {"alpaca", "alpaca"},
	"`text`":                     {"text", "text"},
	"`references`":               {"references", "question_answer"},
}

// TestTableOfShapesAndFormats: each cell of the table in docs/data.md is held by files
// that are read so.
func TestTableOfShapesAndFormats(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join(root(t), "docs", "data.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(page), "\n| shape | ")
	if !ok {
		t.Fatal("there is no table")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	lines := strings.Split(table, "\n")
	formats := cellsOf("| shape | " + lines[0])[1:]
	if len(formats) != len(formatColumns) || len(lines)-2 != len(shapeFiles) {
		t.Fatalf("%d formats, %d shapes", len(formats), len(lines)-2)
	}
	for _, line := range lines[2:] {
		cells := cellsOf(line)
		shape := shapeFiles[cells[0]]
		said := map[string]string{} // by format
		for i, cell := range cells[1:] {
			said[formats[i]] = cell
			for _, ext := range formatColumns[formats[i]] {
				holds(t, shape[0]+ext, shape[1], cell)
			}
		}
		if said["XLSX"] != said["CSV"] { // the files are made of one table
			t.Errorf("%s: the manual says %q of XLSX, %q of CSV", cells[0], said["XLSX"], said["CSV"])
		}
	}
}

func cellsOf(line string) []string {
	cells := strings.Split(strings.Trim(line, "| "), " | ")
	for i := range cells {
		cells[i] = strings.TrimSpace(cells[i])
	}
	return cells
}

// holds checks that a file is read as a shape, and that a cell says whether its lists
// are written as JSON.
func holds(t *testing.T, name, shape, cell string) {
	t.Helper()
	path := filepath.Join(root(t), "pipeline", "dataset", "testdata", "formats", name)
	d, err := dataset.Open(t.Context(), source.Source{Path: path, Name: name}, dataset.Want{
		Use: dataset.Testing, Columns: dataset.Columns{Question: "question", Answer: "answer"},
	})
	if strings.HasPrefix(name, "text.") { // a text is no test data
		d, err = dataset.Open(t.Context(), source.Source{Path: path, Name: name}, dataset.Want{
			Use: dataset.Training, Columns: dataset.Columns{Question: "question", Answer: "answer"},
		})
	}
	if err != nil || string(d.Info().Shape) != shape || d.Info().Counts.Rows != 2 {
		t.Errorf("%s: %v", name, err)
		return
	}
	want := "yes"
	if body, err := os.ReadFile(path); err == nil && (strings.HasSuffix(name, ".csv") || strings.HasSuffix(name, ".tsv")) {
		if strings.Contains(string(body), `""role""`) || strings.Contains(string(body), `""from""`) || strings.HasPrefix(name, "references") {
			want = "JSON"
		}
	} else if strings.HasSuffix(name, ".xlsx") {
		want = cell // the caller compares it with that of CSV
	}
	if cell != want {
		t.Errorf("%s: the manual says %q, want %q", name, cell, want)
	}
}
