package dataset

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/xuri/excelize/v2"
)

// want are the rows of the test files in all formats.
var want = []Row{
	{Index: 0, Question: "What is 1 + 1?", Answer: "2", System: "Be brief.", Fields: map[string]string{"key_fact": "two"}},
	{Index: 1, Question: "A \"quoted\", long\nquestion?", Answer: "Ünïcode ✓", System: ""},
	{Index: 2, Question: "3?", Answer: "", System: "s", Fields: map[string]string{"key_fact": "true"}},
}

var qa = Columns{Question: "question", Answer: "answer", System: "system", Extra: []string{"key_fact", "nowhere"}}

const jsonRows = `{"id":1,"question":"What is 1 + 1?","answer":2,"system":"Be brief.","key_fact":"two"}
{"id":2,"question":"A \"quoted\", long\nquestion?","answer":"Ünïcode ✓","system":null}
{"id":3,"question":"3?","answer":"","system":"s","key_fact":true}
`

func csvText(comma string) string {
	return strings.ReplaceAll("id;question;answer;system;key_fact\n1;What is 1 + 1?;2;Be brief.;two\n"+
		"2;\"A \"\"quoted\"\", long\nquestion?\";Ünïcode ✓;;\n3;3?;;s;true\n", ";", comma)
}

func parquetBytes(t testing.TB, rowGroup int64) string {
	t.Helper()
	type record struct {
		ID       int      `parquet:"id"`
		Question string   `parquet:"question"`
		Answer   *string  `parquet:"answer,dict"`
		System   *string  `parquet:"system,optional"`
		KeyFact  *string  `parquet:"key_fact,snappy"`
		Tags     []string `parquet:"tags,list"`
	}
	text := func(s string) *string { return &s }
	var out bytes.Buffer
	w := parquet.NewGenericWriter[record](&out, parquet.MaxRowsPerRowGroup(rowGroup))
	if _, err := w.Write([]record{
		{1, want[0].Question, text("2"), text("Be brief."), text("two"), []string{"a", "b"}},
		{2, want[1].Question, text("Ünïcode ✓"), nil, nil, nil},
		{3, "3?", text(""), text("s"), text("true"), nil},
	}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func xlsxBytes(t testing.TB) string {
	t.Helper()
	book := excelize.NewFile()
	defer book.Close()
	for _, row := range []struct {
		at    string
		cells []any
	}{
		{"A2", []any{"id", "question", "answer", "system", "key_fact"}},
		{"A3", []any{1, want[0].Question, 2, "Be brief.", "two"}},
		{"A5", []any{2, want[1].Question, "Ünïcode ✓"}},
		{"A6", []any{3, "3?", "", "s", "true"}},
		{"A9", []any{""}},
	} {
		if err := book.SetSheetRow("Sheet1", row.at, &row.cells); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	if err := book.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func zipped(t testing.TB, s string) string {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// write creates files in a new folder and returns the folder.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func collect(t testing.TB, d *Dataset) []Row {
	t.Helper()
	var rows []Row
	for row, err := range d.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	return rows
}

func TestFormats(t *testing.T) {
	t.Parallel()
	array := "[" + strings.ReplaceAll(strings.TrimSpace(jsonRows), "}\n{", "},\n{") + "]"
	for name, content := range map[string]string{
		"rows.jsonl":        jsonRows,
		"rows.ndjson":       strings.ReplaceAll(jsonRows, "\n", "\r\n\r\n"),
		"no-last-feed.json": strings.TrimSpace(jsonRows),
		"marked.jsonl":      "\xef\xbb\xbf" + jsonRows,
		"rows.jsonl.gz":     zipped(t, jsonRows),
		"array.json":        array,
		"marked.json":       "\xef\xbb\xbf  " + array + "\n",
		"array.JSON.gz":     zipped(t, array),
		"data.json":         `{"version": {"data": 1}, "data": ` + array + `, "more": [1, {}]}`,
		"one-by-one.json":   strings.ReplaceAll(jsonRows, "{", "\n{\n "),
		"rows.csv":          csvText(","),
		"marked.csv":        "\xef\xbb\xbf" + csvText(","),
		"rows.csv.gz":       zipped(t, csvText(",")),
		"rows.parquet":      parquetBytes(t, 1000),
		"groups.parquet":    parquetBytes(t, 1),
		"rows.xlsx":         xlsxBytes(t),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(write(t, map[string]string{name: content}), name)
			d, err := Open(t.Context(), Source{Path: path}, qa)
			if err != nil {
				t.Fatal(err)
			}
			wantRows := slices.Clone(want)
			if strings.Contains(name, ".csv") { // in CSV an empty cell is a text
				wantRows[1].Fields = map[string]string{"key_fact": ""}
			}
			for range 2 { // the rows can be read again
				if got := collect(t, d); !reflect.DeepEqual(got, wantRows) {
					t.Errorf("got %+v\nwant %+v", got, wantRows)
				}
			}
			info := d.Info()
			columns := []string{"id", "question", "answer", "system", "key_fact"}
			if strings.HasSuffix(name, ".parquet") {
				columns = append(columns, "tags")
			}
			if info.Rows != 3 || info.Bytes != int64(len(content)) || len(info.SHA256) != 64 ||
				!slices.Equal(info.Files, []string{name}) || !slices.Equal(info.Columns, columns) {
				t.Errorf("info: %+v", info)
			}
		})
	}
}

func TestTSV(t *testing.T) {
	t.Parallel()
	path := filepath.Join(write(t, map[string]string{"rows.tsv": csvText("\t")}), "rows.tsv")
	d, err := Open(t.Context(), Source{Path: path}, qa)
	if err != nil {
		t.Fatal(err)
	}
	if got := collect(t, d); len(got) != 3 || got[0].Question != want[0].Question || d.Info().Format != TSV {
		t.Errorf("got %+v", got)
	}
}

func TestColumns(t *testing.T) {
	t.Parallel()
	path := filepath.Join(write(t, map[string]string{"r.jsonl": `{"q": {"a": [1,  2]}, "s": "own"}` + "\n"}), "r.jsonl")
	for name, c := range map[string]struct {
		columns Columns
		want    Row
	}{
		"question alone": {Columns{Question: "q"}, Row{Question: `{"a":[1,2]}`}},
		"override wins":  {Columns{Question: "q", System: "s", SystemOverride: "all"}, Row{Question: `{"a":[1,2]}`, System: "all"}},
		"override needs no column": {
			Columns{Question: "q", System: "nowhere", SystemOverride: "all"}, Row{Question: `{"a":[1,2]}`, System: "all"},
		},
		"one column twice": {Columns{Question: "s", Answer: "s"}, Row{Question: "own", Answer: "own"}},
	} {
		d, err := Open(t.Context(), Source{Path: path}, c.columns)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := collect(t, d); !reflect.DeepEqual(got, []Row{c.want}) {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
	if _, err := Open(t.Context(), Source{Path: path}, Columns{}); err == nil || !strings.Contains(err.Error(), "no question column") {
		t.Errorf("no question column: %v", err)
	}
}

func TestMissingColumn(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"r.jsonl": jsonRows, "r.csv": csvText(","), "r.parquet": parquetBytes(t, 2), "r.xlsx": xlsxBytes(t),
		"r.json": "[" + strings.Split(jsonRows, "\n")[0] + "]",
	} {
		path := filepath.Join(write(t, map[string]string{name: content}), name)
		for _, c := range []Columns{
			{Question: "prompt"}, {Question: "question", Answer: "prompt"}, {Question: "question", System: "prompt"},
		} {
			_, err := Open(t.Context(), Source{Path: path}, c)
			var missing *MissingColumnError
			if !errors.As(err, &missing) {
				t.Errorf("%s %+v: %v, want a MissingColumnError", name, c, err)
				continue
			}
			if missing.Column != "prompt" || missing.File != path || !slices.Contains(missing.Have, "key_fact") ||
				!strings.Contains(err.Error(), `it has "id", "question"`) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestRowsStopsWithItsContext(t *testing.T) {
	t.Parallel()
	path := filepath.Join(write(t, map[string]string{"r.jsonl": jsonRows}), "r.jsonl")
	d, err := Open(t.Context(), Source{Path: path}, qa)
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	n := 0
	var last error
	for _, err := range d.Rows(ctx) {
		n++
		last = err
		end()
	}
	if n != 2 || !errors.Is(last, context.Canceled) {
		t.Errorf("%d steps, the last with %v; want a row, then the context's error", n, last)
	}
	for range d.Rows(t.Context()) {
		break // must neither leak nor panic
	}
	if _, err := Open(ctx, Source{Path: path}, qa); !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v", err)
	}
	if _, err := Open(t.Context(), Source{Path: path + "x"}, qa); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("open of nothing: %v", err)
	}
}
