package dataset

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzOpen: opening any file ends with an error, or with rows that can be read,
// as many as Info says.
func FuzzOpen(f *testing.F) {
	formats := []Format{JSONL, JSON, CSV, TSV, Parquet, XLSX}
	add := func(format Format, body string) {
		for i, known := range formats {
			if known == format {
				f.Add(uint8(i), []byte(body))
			}
		}
	}
	add(JSONL, jsonRows)
	add(JSONL, "{\"question\":1}\n\n[]")
	add(JSON, `[{"question":"a","answer":{"b":[1]}},{"question":null}]`)
	add(JSON, `{"version":1,"data":[{"question":"a"}],"rest":[]}`)
	add(JSON, `{"question":"a"}{"question":"b"}`)
	add(JSON, `{"data":[1,2],"question":"a"}`)
	add(CSV, csvText(","))
	add(CSV, "question,question\na,b")
	add(TSV, csvText("\t"))
	add(Parquet, parquetBytes(f, 2))
	add(XLSX, xlsxBytes(f))
	f.Fuzz(func(t *testing.T, format uint8, body []byte) {
		path := filepath.Join(t.TempDir(), "data."+string(formats[int(format)%len(formats)]))
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		d, err := Open(t.Context(), Source{Path: path}, Columns{Question: "question", Extra: []string{"answer"}})
		if err != nil {
			return
		}
		rows := 0
		for row, err := range d.Rows(t.Context()) {
			if err != nil {
				t.Fatalf("an opened data set cannot be read: %v", err)
			}
			if row.Index != rows {
				t.Fatalf("row %d has index %d", rows, row.Index)
			}
			rows++
		}
		if rows != d.Info().Rows {
			t.Errorf("%d rows were read, Info says %d", rows, d.Info().Rows)
		}
	})
}
