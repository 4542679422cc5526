package source_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// TestParse: what is a place and what is selected of it. A selection is written as
// it was read.
func TestParse(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]struct {
		place string
		s     source.Selection
	}{
		"owner/name":               {"owner/name", source.Selection{}},
		"owner/name:main":          {"owner/name", source.Selection{Name: "main"}},
		"owner/name@v1:main":       {"owner/name@v1", source.Selection{Name: "main"}},
		"owner/name@refs/pr/1:a/b": {"owner/name@refs/pr/1", source.Selection{Config: "a", Split: "b"}},
		"owner/name:main/test":     {"owner/name", source.Selection{Config: "main", Split: "test"}},
		"owner/name:/test":         {"owner/name", source.Selection{Split: "test"}},
		"owner/name:20231101.en":   {"owner/name", source.Selection{Name: "20231101.en"}},
		"data:hard":                {"data", source.Selection{Name: "hard"}},
		"../data/:hard":            {"../data/", source.Selection{Name: "hard"}},
		"/abs/data:hard":           {"/abs/data", source.Selection{Name: "hard"}},
		"train.jsonl":              {"train.jsonl", source.Selection{}},
		"train.jsonl:hard":         {"train.jsonl", source.Selection{Name: "hard"}},
		"a:b.jsonl":                {"a:b.jsonl", source.Selection{}},
		"a:b.csv.gz":               {"a:b.csv.gz", source.Selection{}},
		"https://host/x":           {"https://host/x", source.Selection{}},
		`C:\data`:                  {`C:\data`, source.Selection{}},
		"data:":                    {"data:", source.Selection{}},
		":main":                    {":main", source.Selection{}},
		"data:a b":                 {"data:a b", source.Selection{}},
		"":                         {"", source.Selection{}},
	} {
		place, s := source.Parse(name)
		if place != want.place || s != want.s {
			t.Errorf("%q: %q, %+v; want %q, %+v", name, place, s, want.place, want.s)
		}
		if place+s.String() != name {
			t.Errorf("%q is written as %q", name, place+s.String())
		}
	}
}

// TestSame: revisions, configurations, splits and spellings are the same place.
func TestSame(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"data", "./data/", true},
		{"data:train", "data:test", true},
		{"owner/name@v1:main", "owner/name", true},
		{"data/train.jsonl", "data", false},
		{"a", "b", false},
	} {
		if got := source.Same(c.a, c.b); got != c.want {
			t.Errorf("%q and %q: %t", c.a, c.b, got)
		}
	}
}

// TestExtension: the names of data files.
func TestExtension(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a/b.JSONL": ".jsonl", "a.jsonl.gz": ".jsonl.gz", "a.csv.zst": ".csv.zst", "a.parquet": ".parquet", "a.parquet.gz": "", "a.txt": "", "owner/name": "",
	} {
		if got := source.Extension(name); got != want || source.IsDataFile(name) != (want != "") {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestDelimiter(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]byte{"": 0, "^": '^', "tab": '\t', "\t": '\t', `\t`: '\t', " ": ' ', "\x1f": 0x1f} {
		if got, err := source.Delimiter(text); err != nil || got != want {
			t.Errorf("%q is %q, %v", text, got, err)
		}
	}
	for _, text := range []string{`"`, "\n", "\r", "\x00", "||", "§", "comma"} {
		if _, err := source.Delimiter(text); err == nil || !strings.Contains(err.Error(), "cannot separate cells") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
