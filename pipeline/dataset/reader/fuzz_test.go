package reader

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// fuzzFile checks what holds for every file of a format: reading ends with rows or
// with an [*Error], values have a text or say why not, and Select changes no value.
func fuzzFile(f *testing.F, name string) {
	f.Helper()
	f.Fuzz(func(t *testing.T, body []byte, encoding uint8) {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		o := Options{Name: "NAME", Encoding: []string{"", "cp1252", "utf-16le", "gb18030"}[encoding%4]}
		rows, columns, err := readAll(t, path, o)
		checkError(t, err)
		if len(rows) == 0 || len(columns) == 0 {
			return
		}
		selected, _, err2 := readAll(t, path, o, columns[0])
		checkError(t, err2)
		if err == nil && err2 == nil && len(selected) != len(rows) {
			t.Errorf("%d rows, with one column %d", len(rows), len(selected))
		}
		for _, row := range rows {
			_, object, _ := strings.Cut(row, " ")
			if _, err := value.FromJSON([]byte(object)); err != nil && !strings.Contains(object, "Infinity") && !strings.Contains(err.Error(), "twice") {
				t.Errorf("the row %q is no JSON: %v", object, err)
			}
		}
	})
}

func checkError(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if e := (*Error)(nil); !errors.As(err, &e) || e.File != "NAME" {
		t.Errorf("%T %v, want an Error with the name of the file", err, err)
	}
}

func FuzzJSONL(f *testing.F) {
	f.Add([]byte(twoLines), uint8(0))
	f.Add([]byte("\ufeff"+`{"a":[{"b":null},1.5e3,"\ud83d\ude00\n"],"c":{}}`+"\r\n\n{}"), uint8(0))
	f.Add([]byte(zipped(f, twoLines)), uint8(0))
	f.Add([]byte(zstandard(f, twoLines)), uint8(0))
	f.Add([]byte(utf16(twoLines, false)), uint8(2))
	f.Add([]byte("{\"a\":\"caf\xe9\"}"), uint8(1))
	fuzzFile(f, "a.jsonl")
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`[{"q":"a"},`+"\n"+`{"q":[1,{"x":null}]}]`), uint8(0))
	f.Add([]byte(`{"version":{"data":1},"data":[{"q":"a"}],"more":[1,{}]}`), uint8(0))
	f.Add([]byte(`{"question":{"0":"a"},"answer":{"0":"b"}}`), uint8(0))
	f.Add([]byte(`{"q":"a"}{"q":"b"}`), uint8(0))
	f.Add([]byte(`{"columns":["q"],"index":[0],"data":[["a"]]}`), uint8(0))
	f.Add([]byte(`{"train":[{"q":"a"}]}`), uint8(0))
	fuzzFile(f, "a.json")
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte(twoCSV), uint8(0))
	f.Add([]byte("q;r\r\n\"a \"\"b\"\"\n\";5\" x\n\n;\"\"\n"), uint8(0))
	f.Add([]byte("q\tr\ra\tb\r"), uint8(0))
	f.Add([]byte("q,r\ncaf\xe9,\x93x\x94\n"), uint8(1))
	fuzzFile(f, "a.csv")
}

func addFiles(f *testing.F, names ...string) {
	f.Helper()
	for _, name := range names {
		body, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body, uint8(0))
	}
}

func FuzzParquet(f *testing.F) {
	addFiles(f, "frame.parquet", "int96.parquet")
	fuzzFile(f, "a.parquet")
}

func FuzzArrow(f *testing.F) {
	addFiles(f, "frame.feather", "more.arrow")
	fuzzFile(f, "a.arrow")
}

func FuzzXLSX(f *testing.F) {
	addFiles(f, "frame.xlsx", "from1904.xlsx")
	fuzzFile(f, "a.xlsx")
}

// FuzzCSVQuoted: rows that encoding/csv reads without fault are read as it reads
// them, where no cell holds a quote without need.
func FuzzCSVQuoted(f *testing.F) {
	f.Add("a", "b \"c\"\nd, e")
	f.Add("", " ")
	f.Fuzz(func(t *testing.T, a, b string) {
		if strings.ContainsAny(a+b, "\x00\r") || strings.ToValidUTF8(a+b, "") != a+b {
			return
		}
		quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
		rows, err := readText(t, "a.csv", "q,r\n"+quote(a)+","+quote(b)+"\n", Options{})
		if err != nil {
			t.Fatal(err)
		}
		want, err := json.Marshal(map[string]string{"q": a, "r": b})
		if err != nil {
			t.Fatal(err)
		}
		var got, wanted any
		_, object, _ := strings.Cut(rows[0], " ")
		if err := errors.Join(json.Unmarshal([]byte(object), &got), json.Unmarshal(want, &wanted)); err != nil {
			t.Fatal(err)
		}
		if len(rows) != 1 || !equal(got, wanted) {
			t.Errorf("%q, want %s", rows, want)
		}
	})
}

func equal(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

// TestDamagedFiles flips bits of one byte after the other in files of binary
// formats: reading always ends with rows or an error.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"frame.parquet", "types-small-pages.parquet", "types.arrow", "types-stream.arrow", "types.feather", "types.xlsx"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole, err := os.ReadFile(filepath.Join("testdata", name))
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), name)
			refused := 0
			for at := 0; at < len(whole); at += 1 + len(whole)/400 {
				body := []byte(string(whole))
				body[at] ^= byte(0x10 + at%7)
				if err := os.WriteFile(path, body, 0o600); err != nil {
					t.Fatal(err)
				}
				if _, _, err := readAll(t, path, Options{Name: "NAME"}); err != nil {
					checkError(t, err)
					refused++
				}
			}
			for cut := 0; cut < len(whole); cut += 1 + len(whole)/100 {
				if err := os.WriteFile(path, whole[:cut], 0o600); err != nil {
					t.Fatal(err)
				}
				// A stream that ends between two batches is whole.
				if _, _, err := readAll(t, path, Options{Name: "NAME"}); err == nil && !strings.Contains(name, "stream") {
					t.Errorf("the first %d of %d bytes are a file", cut, len(whole))
				}
			}
			if refused < 10 {
				t.Errorf("only %d damages were detected", refused)
			}
		})
	}
}

// TestNextAfterTheEnd holds that the end stays the end.
func TestNextAfterTheEnd(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"frame.parquet", "frame.feather", "frame.xlsx"} {
		f, err := Open(t.Context(), filepath.Join("testdata", name), Options{})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 {
			_, err = f.Next()
		}
		if !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v", name, err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}
