package reader

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// readColumns returns the values of each column of a file as JSON.
func readColumns(t testing.TB, path string, selected ...string) map[string][]string {
	t.Helper()
	f, err := Open(t.Context(), path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if selected != nil {
		f.Select(selected...)
	}
	got := map[string][]string{}
	for {
		record, err := f.Next()
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range record.Fields {
			got[field.Name] = append(got[field.Name], string(field.Value.AppendJSON(nil)))
		}
	}
}

// TestTypes compares every type with what pyarrow, numpy and pandas make of it; see
// testdata/make.py.
func TestTypes(t *testing.T) {
	t.Parallel()
	var want map[string][]string
	golden, err := os.ReadFile("testdata/types.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(golden, &want); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"types.parquet", "types-small-pages.parquet", "types-old.parquet",
		"types.arrow", "types-stream.arrow", "types.feather", "types-lz4.feather",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := readColumns(t, filepath.Join("testdata", name))
			if len(got) < 45 {
				t.Errorf("%d columns", len(got))
			}
			for column, values := range got {
				if !slices.Equal(values, want[column]) {
					t.Errorf("%s: got %s\nwant %s", column, values, want[column])
				}
			}
			// A column alone is what it is among others.
			if alone := readColumns(t, filepath.Join("testdata", name), "messages"); len(alone) != 1 || !slices.Equal(alone["messages"], want["messages"]) {
				t.Errorf("messages alone: %s", alone)
			}
		})
	}
}

// TestMoreTypes holds what Arrow has and Parquet has not, and files of pandas.
func TestMoreTypes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		selected []string
		want     map[string][]string
	}{
		"more.arrow": {
			[]string{"view", "list_view", "runs", "dense"},
			map[string][]string{
				"view": {`"a"`, "null", `"a text that is longer than twelve bytes"`}, "list_view": {"[1]", "null", "[2,3]"},
				"runs": {`"x"`, `"x"`, "null"}, "dense": {"1", `"t"`, "2"},
			},
		},
		"int96.parquet": {
			nil, map[string][]string{
				"text":         {`"a"`, `""`, "null", `"Sjöberg says 😀, \"no\"\n"`},
				"timestamp_us": {`"2024-03-05T09:20:00.000001"`, `"1969-12-31T23:59:59.999999"`, "null", `"1970-01-01T00:00:00"`},
			},
		},
		"frame.parquet": {nil, map[string][]string{"question": {`"Where?"`, `"Who?"`}, "score": {"1.5", "null"}, "at": {`"2024-03-05T09:20:00"`, "null"}}},
		"frame.feather": {nil, map[string][]string{"question": {`"Where?"`, `"Who?"`}, "score": {"1.5", "null"}, "at": {`"2024-03-05T09:20:00"`, "null"}}},
		"frame.xlsx":    {nil, map[string][]string{"question": {`"Where?"`, `"Who?"`}, "score": {"1.5", "null"}, "at": {`"2024-03-05T09:20:00"`, "null"}}},
		"from1904.xlsx": {nil, map[string][]string{"q": {`"When?"`}, "a": {`"2024-03-05"`}}},
		"types.xlsx": {nil, map[string][]string{
			"text":    {`"a"`, `" b\nc "`, `"Sjöberg says 😀, \"no\"\n"`},
			"number":  {"42", "0.1", "-12345678901234"},
			"date":    {`"2024-03-05"`, `"2024-03-05T09:20:00.500000"`, `"2000-02-29"`},
			"moment":  {`"2024-03-05T09:20:00"`, `"1900-02-28T00:00:00"`, `"2024-03-05T23:59:59"`},
			"time":    {`"09:20:00"`, `"00:00:00"`, "null"},
			"bool":    {"true", "false", "null"},
			"percent": {"0.5", "1e-07", "1e+20"},
			"rich":    {`"x"`, "null", `"\r"`},
			"late":    {"null", `"z"`, "null"},
		}},
		"faults.xlsx": {[]string{"q"}, map[string][]string{"q": {`"x"`}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := readColumns(t, filepath.Join("testdata", name), c.selected...)
			if len(got) != len(c.want) {
				t.Errorf("%d columns, want %d", len(got), len(c.want))
			}
			for column, want := range c.want {
				if !slices.Equal(got[column], want) {
					t.Errorf("%s: got %s\nwant %s", column, got[column], want)
				}
			}
		})
	}
}

// TestCellsThatAreRefused holds the errors of single cells of tables.
func TestCellsThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, want := range map[string][]string{
		"more.arrow/duration":         {"mine/more.arrow, row 1, column \"duration\": it holds values of Arrow's type duration[s]"},
		"durations.parquet/duration":  {"mine/durations.parquet, row 1, column \"duration\": it holds values of Arrow's type duration[s]"},
		"durations.parquet/durations": {"row 1, column \"durations\": ", "duration[ms]"},
		"faults.xlsx/formula":         {"mine/faults.xlsx, row 2, column \"formula\": ", "formula without its result"},
		"faults.xlsx/error":           {"row 2, column \"error\": the cell shows the error #N/A"},
		"faults.xlsx/duration":        {"row 2, column \"duration\": the cell holds a duration"},
	} {
		file, column, _ := strings.Cut(name, "/")
		_, _, err := readAll(t, filepath.Join("testdata", file), Options{Name: "mine/" + file}, column)
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%s: %v, want %q", name, err, w)
			}
		}
	}
}

// TestRowsOfWorkbooks holds that rows have the numbers that a spreadsheet shows.
func TestRowsOfWorkbooks(t *testing.T) {
	t.Parallel()
	rows, columns, err := readAll(t, "testdata/types.xlsx", Options{}, "number")
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{`3 {"number":42}`, `4 {"number":0.1}`, `6 {"number":-12345678901234}`}; !slices.Equal(rows, want) {
		t.Errorf("%q, want %q", rows, want)
	}
	if want := []string{"text", "number", "date", "moment", "time", "bool", "percent", "rich", "late"}; !slices.Equal(columns, want) {
		t.Errorf("columns %q, want %q", columns, want)
	}
}

// TestCSVAsPython compares CSV texts with what Python's csv reads; see
// testdata/make.py. Refused is what Python guesses: rows of other lengths than the
// header, and a quote that is not closed.
func TestCSVAsPython(t *testing.T) {
	t.Parallel()
	var cases []struct {
		Text string
		Rows [][]string
	}
	golden, err := os.ReadFile("testdata/csv.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(golden, &cases); err != nil {
		t.Fatal(err)
	}
	read, refused := 0, 0
	for _, c := range cases {
		got, err := readText(t, "a.csv", c.Text, Options{Delimiter: ','})
		var want []string
		ragged := false
		for _, row := range c.Rows[1:] {
			if len(row) == 0 || len(row) == 1 && strings.TrimSpace(row[0]) == "" && !strings.Contains(c.Text, `"`) {
				continue
			}
			if len(row) != 2 {
				ragged = true
				break
			}
			want = append(want, row[0]+"|"+row[1])
		}
		if err != nil {
			refused++
			blank := strings.Contains(err.Error(), "closed nowhere")
			if !ragged && !blank {
				t.Errorf("%q: %v, Python reads %q", c.Text, err, c.Rows)
			}
			continue
		}
		if ragged {
			// Lines of blanks alone are no rows here.
			continue
		}
		read++
		var cells []string
		for _, row := range got {
			_, object, _ := strings.Cut(row, " ")
			v, err := value.FromJSON([]byte(object))
			if err != nil {
				t.Fatal(err)
			}
			q, _ := v.Get("q")
			r, _ := v.Get("r")
			a, _ := q.Text() // a missing value is an empty text in Python
			b, _ := r.Text()
			cells = append(cells, a+"|"+b)
		}
		if !slices.Equal(cells, want) {
			t.Errorf("%q: %q, Python reads %q", c.Text, cells, want)
		}
	}
	if read < 60 || refused < 60 {
		t.Errorf("%d texts were read and %d refused", read, refused)
	}
}

// TestKinds holds the table of values and formats in docs/data.md: what a value is
// in each format, and its text.
func TestKinds(t *testing.T) {
	t.Parallel()
	json := func(v string) func(t *testing.T) (value.Value, error) {
		return func(t *testing.T) (value.Value, error) { return onlyValue(t, "a.jsonl", `{"q":`+v+`}`) }
	}
	csv := func(v string) func(t *testing.T) (value.Value, error) {
		return func(t *testing.T) (value.Value, error) { return onlyValue(t, "a.csv", "q,other\n"+v+",x\n") }
	}
	table := func(file, column string, row int) func(t *testing.T) (value.Value, error) {
		return func(t *testing.T) (value.Value, error) {
			return valueAt(t, filepath.Join("testdata", file), column, row)
		}
	}
	const notText = "\x00" // no text can hold it
	for name, c := range map[string]struct {
		read func(t *testing.T) (value.Value, error)
		kind value.Kind
		text string
	}{
		"JSON null": {json("null"), value.Missing, notText}, "CSV empty": {csv(""), value.Missing, notText},
		"Parquet null": {table("types.parquet", "text", 2), value.Missing, notText}, "Arrow null": {table("types.arrow", "text", 2), value.Missing, notText},
		"XLSX empty":  {table("types.xlsx", "late", 0), value.Missing, notText},
		"Parquet NaN": {table("types.parquet", "double_special", 0), value.Missing, notText}, "Arrow NaN": {table("types.arrow", "double_special", 0), value.Missing, notText},
		"JSON empty": {json(`""`), value.Text, ""}, "CSV quotes": {csv(`""`), value.Text, ""},
		"Parquet empty": {table("types.parquet", "text", 1), value.Text, ""}, "Arrow empty": {table("types.arrow", "text", 1), value.Text, ""},
		"JSON number": {json("1.50"), value.Number, "1.50"}, "CSV number": {csv("1.50"), value.Text, "1.50"},
		"Parquet number": {table("types.parquet", "double", 1), value.Number, "1.0"}, "Arrow number": {table("types.arrow", "double", 1), value.Number, "1.0"},
		"XLSX number":     {table("types.xlsx", "number", 0), value.Number, "42"},
		"Parquet decimal": {table("types.parquet", "decimal", 0), value.Number, "12.50"}, "Arrow decimal": {table("types.arrow", "decimal", 0), value.Number, "12.50"},
		"JSON bool": {json("true"), value.Bool, "true"}, "CSV bool": {csv("True"), value.Text, "True"},
		"Parquet bool": {table("types.parquet", "bool", 0), value.Bool, "true"}, "Arrow bool": {table("types.arrow", "bool", 0), value.Bool, "true"},
		"XLSX bool":    {table("types.xlsx", "bool", 0), value.Bool, "true"},
		"Parquet date": {table("types.parquet", "date", 0), value.Text, "2024-03-05"}, "Arrow date": {table("types.arrow", "date", 0), value.Text, "2024-03-05"},
		"XLSX date":         {table("types.xlsx", "date", 0), value.Text, "2024-03-05"},
		"Parquet timestamp": {table("types.parquet", "timestamp_s", 0), value.Text, "2024-03-05T09:20:00"},
		"Arrow timestamp":   {table("types.arrow", "timestamp_s", 0), value.Text, "2024-03-05T09:20:00"},
		"XLSX timestamp":    {table("types.xlsx", "moment", 0), value.Text, "2024-03-05T09:20:00"},
		"Parquet instant":   {table("types.parquet", "instant_berlin", 0), value.Text, "2024-03-05T09:20:00+00:00"},
		"Parquet time":      {table("types.parquet", "time_ms", 0), value.Text, "09:20:00.500000"}, "Arrow time": {table("types.arrow", "time_ms", 0), value.Text, "09:20:00.500000"},
		"XLSX time":    {table("types.xlsx", "time", 0), value.Text, "09:20:00"},
		"Parquet UUID": {table("types.parquet", "uuid", 0), value.Text, "12345678-1234-5678-1234-567812345678"},
		"Arrow UUID":   {table("types.arrow", "uuid", 0), value.Text, "12345678-1234-5678-1234-567812345678"},
		"JSON list":    {json("[1]"), value.List, notText}, "CSV list": {csv("[1]"), value.Text, "[1]"},
		"Parquet list": {table("types.parquet", "list", 0), value.List, notText}, "Arrow list": {table("types.arrow", "list", 0), value.List, notText},
		"JSON object": {json("{}"), value.Object, notText}, "Parquet struct": {table("types.parquet", "struct", 0), value.Object, notText},
		"Arrow struct":  {table("types.arrow", "struct", 0), value.Object, notText},
		"Parquet bytes": {table("types.parquet", "bytes", 0), value.Bytes, notText}, "Arrow bytes": {table("types.arrow", "bytes", 0), value.Bytes, notText},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := c.read(t)
			if err != nil || v.Kind() != c.kind {
				t.Fatalf("%v, %v, want %v", v.Kind(), err, c.kind)
			}
			if text, err := v.Text(); (err != nil) != (c.text == notText) || err == nil && text != c.text {
				t.Errorf("text %q, %v, want %q", text, err, c.text)
			}
		})
	}
}

// onlyValue returns the first value of a file with this content.
func onlyValue(t *testing.T, name, content string) (value.Value, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return valueAt(t, path, "q", 0)
}

// valueAt returns the value of a column in a row, from 0.
func valueAt(t *testing.T, path, column string, row int) (v value.Value, err error) {
	t.Helper()
	f, err := Open(t.Context(), path, Options{})
	if err != nil {
		return v, err
	}
	defer f.Close()
	f.Select(column)
	for range row + 1 {
		record, err := f.Next()
		if err != nil {
			return v, err
		}
		v, _ = record.Get(column)
	}
	return v, nil
}
