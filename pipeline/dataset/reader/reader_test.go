package reader

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// readAll reads a file and returns its records as "line {…}".
func readAll(t testing.TB, path string, o Options, selected ...string) (rows []string, columns []string, err error) {
	t.Helper()
	f, err := Open(t.Context(), path, o)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if closeErr := f.Close(); closeErr != nil {
			t.Error(closeErr)
		}
	}()
	if selected != nil {
		f.Select(selected...)
	}
	for {
		record, err := f.Next()
		if errors.Is(err, io.EOF) {
			return rows, f.Columns(), nil
		}
		if err != nil {
			if _, again := f.Next(); !errors.Is(again, err) {
				t.Errorf("Next after %v: %v", err, again)
			}
			return rows, f.Columns(), err
		}
		rows = append(rows, fmt.Sprintf("%d %s", record.Line, value.OfObject(record.Fields).AppendJSON(nil)))
	}
}

// readText reads a file with this content.
func readText(t testing.TB, name, content string, o Options) ([]string, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	if o.Name == "" {
		o.Name = "mine/" + name
	}
	rows, _, err := readAll(t, path, o)
	if err != nil && strings.Contains(err.Error(), filepath.Dir(path)) {
		t.Errorf("the error has the path on the disk: %v", err)
	}
	return rows, err
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

func zstandard(t testing.TB, s string) string {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return string(z.EncodeAll([]byte(s), nil))
}

func utf16(s string, bigEndian bool) string {
	var out []byte
	for _, r := range "\ufeff" + s { // without characters above U+FFFF
		low, high := byte(r), byte(r>>8)
		if bigEndian {
			low, high = high, low
		}
		out = append(out, low, high)
	}
	return string(out)
}

const (
	twoLines = `{"question":"Where?","answer":"At pier 4."}` + "\n" + `{"question":"Who?","answer":"Sjöberg"}` + "\n"
	twoCSV   = "question,answer\nWhere?,At pier 4.\nWho?,Sjöberg\n"
)

var (
	twoRows    = []string{`1 {"question":"Where?","answer":"At pier 4."}`, `2 {"question":"Who?","answer":"Sjöberg"}`}
	twoCSVRows = []string{`2 {"question":"Where?","answer":"At pier 4."}`, `3 {"question":"Who?","answer":"Sjöberg"}`}
)

// TestRead holds what is read out of text files.
func TestRead(t *testing.T) {
	t.Parallel()
	cp1252 := strings.ReplaceAll(twoCSV, "ö", "\xf6")
	array := "[" + strings.Replace(strings.TrimSpace(twoLines), "\n", ",\n", 1) + "]"
	for name, c := range map[string]struct {
		file, content string
		options       Options
		want          []string
	}{
		// Encodings and compression.
		"lines":                    {"a.jsonl", twoLines, Options{}, twoRows},
		"ndjson":                   {"a.ndjson", twoLines, Options{}, twoRows},
		"upper case":               {"A.JSONL", twoLines, Options{}, twoRows},
		"no last line feed":        {"a.jsonl", strings.TrimSpace(twoLines), Options{}, twoRows},
		"windows line ends":        {"a.jsonl", strings.ReplaceAll(twoLines, "\n", "\r\n"), Options{}, twoRows},
		"UTF-8 mark":               {"a.jsonl", "\ufeff" + twoLines, Options{}, twoRows},
		"UTF-16":                   {"a.jsonl", utf16(twoLines, false), Options{}, twoRows},
		"UTF-16 big endian":        {"a.jsonl", utf16(twoLines, true), Options{}, twoRows},
		"UTF-16 CSV":               {"a.csv", utf16(twoCSV, false), Options{}, twoCSVRows},
		"UTF-16 without a mark":    {"a.csv", utf16(twoCSV, false)[2:], Options{Encoding: "utf-16le"}, twoCSVRows},
		"UTF-16 by Python's name":  {"a.csv", utf16(twoCSV, true), Options{Encoding: "utf_16"}, twoCSVRows},
		"gzip":                     {"a.jsonl.gz", zipped(t, twoLines), Options{}, twoRows},
		"gzip in parts":            {"a.jsonl.gz", zipped(t, twoLines[:20]) + zipped(t, twoLines[20:]), Options{}, twoRows},
		"gzip without the name":    {"a.jsonl", zipped(t, twoLines), Options{}, twoRows},
		"the name without gzip":    {"a.jsonl.gz", twoLines, Options{}, twoRows},
		"zstd":                     {"a.jsonl.zst", zstandard(t, twoLines), Options{}, twoRows},
		"zstd CSV with mark":       {"a.csv.zst", zstandard(t, "\ufeff"+twoCSV), Options{}, twoCSVRows},
		"gzip short":               {"a.csv.gz", zipped(t, "q\n"), Options{}, nil},
		"gzip empty":               {"a.csv.gz", zipped(t, ""), Options{}, nil},
		"cp1252":                   {"a.csv", cp1252, Options{Encoding: "cp1252"}, twoCSVRows},
		"latin-1":                  {"a.csv", cp1252, Options{Encoding: "latin-1"}, twoCSVRows},
		"ISO-8859-1":               {"a.csv", cp1252, Options{Encoding: "ISO-8859-1"}, twoCSVRows},
		"a mark is right":          {"a.csv", "\ufeff" + twoCSV, Options{Encoding: "cp1252"}, twoCSVRows},
		"utf-8-sig":                {"a.csv", "\ufeff" + twoCSV, Options{Encoding: "utf-8-sig"}, twoCSVRows},
		"shift_jis":                {"a.csv", "q\n\x83t\x83F\x83\x8a\x81[\n", Options{Encoding: "sjis"}, []string{`2 {"q":"フェリー"}`}},
		"gb18030":                  {"a.csv", "q\n\xb6\xc9\xc2\xd6\n", Options{Encoding: "gbk"}, []string{`2 {"q":"渡轮"}`}},
		"cp437":                    {"a.csv", "q\nSj\x94berg\n", Options{Encoding: "cp437"}, []string{`2 {"q":"Sjöberg"}`}},
		"mac_roman":                {"a.csv", "q\nSj\x9aberg\n", Options{Encoding: "mac_roman"}, []string{`2 {"q":"Sjöberg"}`}},
		"U+FFFD of the file":       {"a.csv", "q\na\ufffdb\n", Options{}, []string{`2 {"q":"a` + "\ufffd" + `b"}`}},
		"empty":                    {"a.jsonl", "", Options{}, nil},
		"only blanks":              {"a.jsonl", " \n\n", Options{}, nil},
		"a mark alone":             {"a.csv", "\ufeff", Options{}, nil},
		"long lines":               {"a.jsonl", `{"q":"` + strings.Repeat("ö", 1<<20) + `"}`, Options{}, []string{`1 {"q":"` + strings.Repeat("ö", 1<<20) + `"}`}},
		"characters at boundaries": {"a.jsonl", strings.Repeat(`{"q":"`+strings.Repeat("€", 333)+`"}`+"\n", 1000), Options{}, numbered(1, 1000, `{"q":"`+strings.Repeat("€", 333)+`"}`)},

		// JSON lines.
		"values": {
			"a.jsonl", `{"a":1.50,"b":1e3,"c":-0,"d":true,"e":null,"f":"","g":["x",1],"h":{"z":1,"a":2},"i":12345678901234567890.10}`, Options{},
			[]string{`1 {"a":1.50,"b":1e3,"c":-0,"d":true,"e":null,"f":"","g":["x",1],"h":{"z":1,"a":2},"i":12345678901234567890.10}`},
		},
		"escapes":        {"a.jsonl", `{"a":"\"\\\/\b\f\n\r\té\ud83d\ude00\u0000"}`, Options{}, []string{`1 {"a":"\"\\/\u0008\u000c\n\r\té😀\u0000"}`}},
		"blanks":         {"a.jsonl", "\n { \"a\" : [ ] , \"b\" : { } } \n\n{}\n", Options{}, []string{`2 {"a":[],"b":{}}`, `4 {}`}},
		"array in lines": {"a.jsonl", array, Options{}, twoRows},

		// JSON.
		"array":            {"a.json", array, Options{}, twoRows},
		"array with mark":  {"a.json", "\ufeff \n" + array + "\n", Options{}, []string{"2" + twoRows[0][1:], "3" + twoRows[1][1:]}},
		"array compressed": {"a.json.gz", zipped(t, array), Options{}, twoRows},
		"empty array":      {"a.json", "[ ]", Options{}, nil},
		"nothing":          {"a.json", "\n", Options{}, nil},
		"data":             {"a.json", `{"version":{"data":1},"data":` + array + `,"more":[1,{}]}`, Options{}, twoRows},
		"data empty":       {"a.json", `{"data":[]}`, Options{}, nil},
		"table of pandas": {
			"a.json", `{"schema":{"fields":[{"name":"index"}]},"data":[{"index":0,"q":"a"}]}`, Options{}, []string{`1 {"index":0,"q":"a"}`},
		},
		"data is a column": {"a.json", `{"data":[1,2],"q":"a"}`, Options{}, []string{`1 {"data":[1,2],"q":"a"}`}},
		"sequence":         {"a.json", twoLines, Options{}, twoRows},
		"sequence over lines": {
			"a.json", "{\n \"q\": \"a\"\n}\n{\n \"q\": \"b\"\n}", Options{}, []string{`1 {"q":"a"}`, `4 {"q":"b"}`},
		},
		"one object":               {"a.json", `{"q":"a","r":["x"]}`, Options{}, []string{`1 {"q":"a","r":["x"]}`}},
		"one conversation":         {"a.json", `{"messages":[{"role":"user"}]}`, Options{}, []string{`1 {"messages":[{"role":"user"}]}`}},
		"brackets in texts":        {"a.json", `[{"q":"]}\"[{\\"},{"q":"\\\""}]`, Options{}, []string{`1 {"q":"]}\"[{\\"}`, `1 {"q":"\\\""}`}},
		"sequence with first data": {"a.json", `{"data":[[1]]}{"data":[]}`, Options{}, []string{`1 {"data":[[1]]}`, `1 {"data":[]}`}},

		// CSV.
		"CSV":                  {"a.csv", twoCSV, Options{}, twoCSVRows},
		"TSV":                  {"a.tsv", strings.ReplaceAll(twoCSV, ",", "\t"), Options{}, twoCSVRows},
		"semicolons":           {"a.csv", "question;answer\nWhere?;At pier 4, on the left.\n", Options{}, []string{`2 {"question":"Where?","answer":"At pier 4, on the left."}`}},
		"tabs in .csv":         {"a.csv", strings.ReplaceAll(twoCSV, ",", "\t"), Options{}, twoCSVRows},
		"bars":                 {"a.csv", strings.ReplaceAll(twoCSV, ",", "|"), Options{}, twoCSVRows},
		"commas in .tsv":       {"a.tsv", twoCSV, Options{}, twoCSVRows},
		"said, with sep=":      {"a.csv", "sep=;\na^b\n1;2^3\n", Options{Delimiter: '^'}, []string{`3 {"a":"1;2","b":"3"}`}},
		"control character":    {"a.csv", "a\x1fb\n1\x1f\"2\"\n", Options{Delimiter: 0x1f}, []string{`2 {"a":"1","b":"2"}`}},
		"said":                 {"a.csv", "a,b;c\n1,2;3\n", Options{Delimiter: ';'}, []string{`2 {"a,b":"1,2","c":"3"}`}},
		"said by the file":     {"a.csv", "sep=;\r\na,b;c\r\n1,2;3\r\n", Options{}, []string{`3 {"a,b":"1,2","c":"3"}`}},
		"said in quotes":       {"a.csv", "\"sep=|\"\na;b|c\n1;2|3\n", Options{}, []string{`3 {"a;b":"1;2","c":"3"}`}},
		"even rows":            {"a.csv", "a;b;c,d\n1;2;3\n1,5;2;3\n", Options{}, []string{`2 {"a":"1","b":"2","c,d":"3"}`, `3 {"a":"1,5","b":"2","c,d":"3"}`}},
		"one column":           {"a.csv", "text\nOne; two.\nThree, four.\n", Options{Delimiter: '\t'}, []string{`2 {"text":"One; two."}`, `3 {"text":"Three, four."}`}},
		"missing and empty":    {"a.csv", "a,b,c\n,\"\",x\n", Options{}, []string{`2 {"a":null,"b":"","c":"x"}`}},
		"bare quote":           {"a.csv", "q,a\nHow wide?,It is a 5\" pipe.\n", Options{}, []string{`2 {"q":"How wide?","a":"It is a 5\" pipe."}`}},
		"quotes":               {"a.csv", "q,a\n\"a \"\"b\"\", c\",\"x\ny\"\nd,e\n", Options{}, []string{`2 {"q":"a \"b\", c","a":"x\ny"}`, `4 {"q":"d","a":"e"}`}},
		"text behind a quote":  {"a.csv", "q,a\n\"No\" she said,\"x\"y\n", Options{}, []string{`2 {"q":"No she said","a":"xy"}`}},
		"line ends in a cell":  {"a.csv", "q,a\r\n\"x\r\ny\",1\r\nz,2\r\n", Options{}, []string{`2 {"q":"x\r\ny","a":"1"}`, `4 {"q":"z","a":"2"}`}},
		"old Mac":              {"a.csv", "q,a\rx,1\ry,2\r", Options{}, []string{`2 {"q":"x","a":"1"}`, `3 {"q":"y","a":"2"}`}},
		"blank lines":          {"a.csv", "\nq,a\n\nx,1\n  \ny,2\n\n", Options{}, []string{`4 {"q":"x","a":"1"}`, `6 {"q":"y","a":"2"}`}},
		"index of pandas":      {"a.csv", ",q\n0,x\n1,y\n", Options{}, []string{`2 {"q":"x"}`, `3 {"q":"y"}`}},
		"delimiter at the end": {"a.csv", "q,a,\nx,1,\n", Options{}, []string{`2 {"q":"x","a":"1"}`}},
		"header alone":         {"a.csv", "q,a", Options{}, nil},
		"quoted header":        {"a.csv", "\"q, r\",a\nx,1\n", Options{}, []string{`2 {"q, r":"x","a":"1"}`}},
		"blanks stay":          {"a.csv", "q, a\n x , 1\n", Options{}, []string{`2 {"q":" x "," a":" 1"}`}},
		"words of pandas":      {"a.csv", "q,a\nNA,None\n", Options{}, []string{`2 {"q":"NA","a":"None"}`}},
		"a path in quotes":     {"a.csv", "q,a\n\"C:\\\",x\n", Options{}, []string{`2 {"q":"C:\\","a":"x"}`}},
		"long cells": {
			"a.csv", "q,a\n\"" + strings.Repeat("x\n", 400_000) + "\",1\ny,2\n", Options{},
			[]string{`2 {"q":"` + strings.Repeat(`x\n`, 400_000) + `","a":"1"}`, `400003 {"q":"y","a":"2"}`},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readText(t, c.file, c.content, c.options)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got  %.500q\nwant %.500q", got, c.want)
			}
		})
	}
}

func numbered(from, to int, row string) (rows []string) {
	for i := from; i <= to; i++ {
		rows = append(rows, fmt.Sprintf("%d %s", i, row))
	}
	return rows
}

// TestRefused holds what the errors say: each has the person's name of the file.
func TestRefused(t *testing.T) {
	t.Parallel()
	const first = `{"q":"a"}` + "\n"
	whole := zipped(t, strings.Repeat(twoLines, 1000))
	for name, c := range map[string]struct {
		file, content string
		options       Options
		want          []string
		rows          int // before the error
	}{
		"cp1252": {
			"a.csv", "question,answer\r\nWho runs the caf\xe9 at pier 4?,Frau Sj\xf6berg.\r\n", Options{},
			[]string{"mine/a.csv, line 2: ", "byte 0xE9 at character 17 ", "not UTF-8", `data_encoding = "cp1252" may be meant`}, 0,
		},
		"key of another section": {
			"a.csv", "q\n\xe9\n", Options{EncodingKey: "inferencer.data_encoding"}, []string{`inferencer.data_encoding = "cp1252"`}, 0,
		},
		"other scripts":       {"a.csv", "q\n\x83t\x83F\x83\x8a\x81[\n", Options{}, []string{"line 2: byte 0x83", `data_encoding names the encoding of the file, such as "windows-1252" or "iso-8859-1" (western Europe), "windows-1251" (Cyrillic), "gb18030" (Chinese) or "shift_jis" (Japanese)`}, 0},
		"late byte":           {"a.jsonl", strings.Repeat(first, 100_000) + `{"q":"` + "\xe9\"}", Options{}, []string{"line 100001: ", "character 7 "}, 100_000},
		"cut character":       {"a.jsonl", first + "{\"q\":\"\xc3", Options{}, []string{"line 2: byte 0xC3"}, 1},
		"not UTF-16":          {"a.csv", utf16("q\nabc\n", false) + "\x00\xdc\x41\x00", Options{}, []string{"line 3: character 1 ", "U+FFFD"}, 1},
		"not cp1252":          {"a.csv", "q\nab\x81\n", Options{Encoding: "cp1252"}, []string{"line 2: character 3 ", "data_encoding"}, 0},
		"not shift_jis":       {"a.csv", "q\nab\xff\xff\n", Options{Encoding: "shift_jis"}, []string{"line 2: character 3 ", "data_encoding"}, 0},
		"UTF-16 without mark": {"a.csv", utf16("q\nabc\n", false)[2:], Options{}, []string{"line 1: byte 0x00", `data_encoding = "utf-16le"`}, 0},
		"UTF-32":              {"a.csv", "\xff\xfe\x00\x00q\x00\x00\x00", Options{}, []string{"UTF-32"}, 0},
		"unknown encoding":    {"a.csv", twoCSV, Options{Encoding: "klingon"}, []string{`mine/a.csv: data_encoding = "klingon" names no encoding`, "cp1252"}, 0},
		"gzip cut":            {"a.jsonl.gz", whole[:len(whole)-20], Options{}, []string{"mine/a.jsonl.gz, line ", "ends in the middle"}, -1},
		"gzip cut early":      {"a.jsonl.gz", whole[:12], Options{}, []string{"ends in the middle"}, 0},
		"gzip damaged":        {"a.jsonl.gz", whole[:len(whole)-6] + "\x00" + whole[len(whole)-5:], Options{}, []string{"damaged"}, -1},
		"zstd cut":            {"a.jsonl.zst", zstandard(t, twoLines)[:40], Options{}, []string{"ends in the middle"}, 0},
		"bzip2":               {"a.csv", "BZh91AY", Options{}, []string{"it is a bzip2 file", "gzip and zstd"}, 0},
		"workbook named CSV":  {"a.csv", "PK\x03\x04abc", Options{}, []string{"workbook"}, 0},
		"unknown format":      {"a.txt", "x", Options{}, []string{"mine/a.txt: unknown format", ".jsonl", ".zst"}, 0},
		"parquet compressed":  {"a.parquet.gz", "x", Options{}, []string{"unknown format"}, 0},

		"no object":         {"a.jsonl", first + `"x"`, Options{}, []string{"mine/a.jsonl, line 2: at character 1: an object", "text is there"}, 1},
		"list later":        {"a.jsonl", first + `[{"q":"a"}]`, Options{}, []string{"line 2: at character 1: an object with the columns of a row is wanted, a list is there"}, 1},
		"no comma":          {"a.jsonl", first + `{"q":"a" "b":1}`, Options{}, []string{"line 2: at character 10: a comma or '}' is wanted, text is there"}, 1},
		"last comma":        {"a.jsonl", `{"q":"a",}`, Options{}, []string{"line 1: at character 10: a comma stands before"}, 0},
		"no colon":          {"a.jsonl", `{"q" "a"}`, Options{}, []string{"a colon behind a key is wanted"}, 0},
		"two objects":       {"a.jsonl", `{"q":"a"}{"q":"b"}`, Options{}, []string{"line 1: at character 10: an object follows"}, 0},
		"NaN":               {"a.jsonl", `{"q":NaN}`, Options{}, []string{"NaN is no JSON value; write null"}, 0},
		"-Infinity":         {"a.jsonl", `{"q":-Infinity}`, Options{}, []string{"-Infinity is no JSON value"}, 0},
		"Python":            {"a.jsonl", `{'q': None}`, Options{}, []string{"line 1: at character 2: ' is Python's notation", "json.dumps"}, 0},
		"None":              {"a.jsonl", `{"q": None}`, Options{}, []string{"None is Python's notation"}, 0},
		"number":            {"a.jsonl", `{"q": 012}`, Options{}, []string{"012 is no number in JSON"}, 0},
		"cut":               {"a.jsonl", first + `{"q": "a`, Options{}, []string{"line 2: ", "ends in the middle of a text", "a line of JSON lines holds a whole object"}, 1},
		"object over lines": {"a.jsonl", "{\n\"q\": 1\n}\n", Options{}, []string{"line 1: ", "ends in the middle", ".json file"}, 0},
		"key twice":         {"a.jsonl", first + `{"q":"a","q":"b"}`, Options{}, []string{`line 2: at character 10: the key "q" occurs twice`}, 1},
		"inner key twice":   {"a.jsonl", `{"m":[{"role":"a","role":"b"}]}`, Options{}, []string{`the key "role" occurs twice`}, 0},
		"half a character":  {"a.jsonl", `{"q":"\ud83d!"}`, Options{}, []string{`\ud83d in a text is half of a character`}, 0},
		"bad escape":        {"a.jsonl", `{"q":"C:\x"}`, Options{}, []string{`\\x`, "no escape of JSON"}, 0},
		"control character": {"a.jsonl", "{\"q\":\"a\tb\"}", Options{}, []string{`control character '\t'`, `\u0009`}, 0},
		"deep":              {"a.jsonl", `{"q":` + strings.Repeat("[", 100_000), Options{}, []string{"line 1: ", "more than 512 deep"}, 0},
		"huge line":         {"a.jsonl", first + `{"q":"` + strings.Repeat("x", 65<<20), Options{}, []string{"line 2: ", "longer than 64 MiB"}, 1},
		"huge row of an array": {
			"a.json", "[\n" + first + `,{"q":"` + strings.Repeat("x", 65<<20), Options{}, []string{"line 3: ", "longer than 64 MiB"}, 1,
		},

		"array cut":           {"a.json", `[{"q":"a"},` + "\n", Options{}, []string{"mine/a.json, line 2: the JSON ends in the middle"}, 1},
		"array cut in a row":  {"a.json", `[{"q":"a"},` + "\n" + `{"q":`, Options{}, []string{"line 2: the JSON ends in the middle"}, 1},
		"array of numbers":    {"a.json", `[1,2]`, Options{}, []string{"line 1: at character 1: an object with the columns of a row is wanted, a number is there"}, 0},
		"no comma in array":   {"a.json", "[{}\n{}]", Options{}, []string{"line 2: ',' is wanted, '{' is there"}, 1},
		"comma before end":    {"a.json", "[{},]", Options{}, []string{"a comma stands before the end"}, 1},
		"more after array":    {"a.json", "[{}]\n[]", Options{}, []string{"line 2: '[' follows the rows"}, 1},
		"fault in a long row": {"a.json", "[\n{\n\"q\": 1,\n\"a\": NaN\n}]", Options{}, []string{"line 4: at character 6: NaN"}, 0},
		"text":                {"a.json", "question,answer\n", Options{}, []string{"line 1: the file begins with 'q'", "a JSON array of rows"}, 0},
		"columns": {
			"a.json", `{"question": {"0": "Where?", "1": "Who?"}, "answer": {"0": "At pier 4.", "1": "Old Brandt."}}`, Options{},
			[]string{`mine/a.json: the file has pandas' layout "columns": columns instead of rows`, `orient="records", lines=True`}, 0,
		},
		"index":           {"a.json", `{"0":{"q":"a"},"1":{"q":"b"}}`, Options{}, []string{`layout "index"`, "records"}, 0},
		"split":           {"a.json", `{"columns":["q"],"index":[0],"data":[["a"]]}`, Options{}, []string{`layout "split"`, "records"}, 0},
		"values":          {"a.json", `[["a","b"],["c","d"]]`, Options{}, []string{`layout "values"`, "records"}, 0},
		"lists":           {"a.json", `{"q":["a"],"a":["b"]}`, Options{}, []string{"columns instead of rows", `a list for each of "q", "a"`}, 0},
		"data twice":      {"a.json", `{"data":[{"q":"a"}],` + "\n" + `"data":[{"q":"b"}]}`, Options{}, []string{"line 2: ", `"data" occurs twice`}, 1},
		"rows beside":     {"a.json", `{"data":[{"q":"a"}],"test":[{"q":"b"}]}`, Options{}, []string{"line 1: ", `"test" has rows`, `"data"`}, 1},
		"rows before":     {"a.json", `{"test":[{"q":"b"}],"data":[{"q":"a"}]}`, Options{}, []string{`"test" has rows`, `"data"`}, 0},
		"rows below keys": {"a.json", `{"train":[{"q":"a"}],"test":[{"q":"b"}]}`, Options{}, []string{`below the key "train"`, `"data"`}, 0},

		"ragged":                    {"a.csv", "q,a\nx,y\nx,y,z\n", Options{}, []string{"mine/a.csv, line 3: the row has 3 cells, the header has 2", "double quotes"}, 1},
		"short row":                 {"a.csv", "q,a\nx,y\nx\n", Options{}, []string{"line 3: the row has 1 cell, the header has 2"}, 1},
		"ragged behind":             {"a.csv", "q,a\n\"x\n\ny\",z\n1,2,3\n", Options{}, []string{"line 5: the row has 3 cells"}, 1},
		"column twice":              {"a.csv", "q,a,q\n1,2,3\n", Options{}, []string{`line 1: the column "q" occurs twice`}, 0},
		"no names":                  {"a.csv", ",,\n1,2,3\n", Options{}, []string{"line 1: the header has no names"}, 0},
		"open quote":                {"a.csv", "q,a\nx,y\nz,\n" + "\"u,v\nw,x\n", Options{}, []string{"line 4: the double quote that begins a cell here is closed nowhere"}, 2},
		"backslash":                 {"a.csv", "q,a\n\"He said \\\"hi\\\" to me\",y\n", Options{}, []string{`line 2: \" stands in a cell in quotes`}, 0},
		"huge cell":                 {"a.csv", "q\n\"" + strings.Repeat("x", 65<<20), Options{}, []string{"line 2: ", "longer than 64 MiB"}, 0},
		"bad delimiter of the file": {"a.csv", "sep=ö\nq,a\nx,y\n", Options{}, []string{"line 2: the row has 2 cells, the header has 1"}, 0},
		"NUL in the cells":          {"a.csv", "q,a\nx,\x00\n", Options{}, []string{"line 2: byte 0x00"}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := readText(t, c.file, c.content, c.options)
			if err == nil {
				t.Fatalf("no error; read %.300q", got)
			}
			for _, want := range append(c.want, "mine/"+c.file) {
				if strings.Count(err.Error(), want) != 1 {
					t.Errorf("error %q\nwants once  %q", err, want)
				}
			}
			if c.rows >= 0 && len(got) != c.rows {
				t.Errorf("%d rows were read before, want %d", len(got), c.rows)
			}
		})
	}
}

// TestSelect holds that other columns are left out, and that Columns tells of all.
func TestSelect(t *testing.T) {
	t.Parallel()
	for name, content := range map[string]string{
		"a.jsonl": `{"a":1,"b":"x","c":[2]}` + "\n" + `{"c":3,"d":4}`,
		"a.json":  `[{"a":1,"b":"x","c":[2]},` + "\n" + `{"c":3,"d":4}]`,
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		rows, columns, err := readAll(t, path, Options{}, "c", "a", "nowhere")
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{`1 {"a":1,"c":[2]}`, `2 {"c":3}`}; !slices.Equal(rows, want) {
			t.Errorf("%s: %q, want %q", name, rows, want)
		}
		if want := []string{"a", "b", "c", "d"}; !slices.Equal(columns, want) {
			t.Errorf("%s: columns %q, want %q", name, columns, want)
		}
		f, err := Open(t.Context(), path, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if want := []string{"a", "b", "c"}; !slices.Equal(f.Columns(), want) {
			t.Errorf("%s: the first record has %q, want %q", name, f.Columns(), want)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestPointersOfGitLFS are named, whatever the format of the file would be.
func TestPointersOfGitLFS(t *testing.T) {
	t.Parallel()
	for _, extension := range []string{".jsonl", ".json", ".csv", ".tsv", ".jsonl.gz", ".parquet", ".arrow", ".xlsx"} {
		path := filepath.Join(t.TempDir(), "train"+extension)
		if err := os.WriteFile(path, []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), path, Options{Name: "train" + extension})
		if err == nil || !strings.Contains(err.Error(), "train"+extension+": it is a pointer of Git LFS") {
			t.Errorf("%s: %v", extension, err)
		}
	}
}
