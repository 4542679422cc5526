package dataset

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func rowOf(question string) string { return fmt.Sprintf("{\"question\": %q}\n", question) }

// TestFolders: the files of a folder that are read, their order, and the errors
// for ambiguous folders.
func TestFolders(t *testing.T) {
	t.Parallel()
	splits := map[string]string{
		"train.jsonl": rowOf("train"), "validation.jsonl": rowOf("validation"), "test.jsonl": rowOf("test"), "README.md": "not data",
	}
	hub := map[string]string{
		"data/train-00000-of-00002.jsonl": rowOf("1"), "data/train-00001-of-00002.jsonl": rowOf("2"), "data/test-00000-of-00001.jsonl": rowOf("3"),
		"dataset_infos.json": "{}", ".cache/train.jsonl": rowOf("hidden"), ".train.jsonl": rowOf("hidden"),
	}
	plain := map[string]string{"b.jsonl": rowOf("b"), "a.jsonl": rowOf("a1") + rowOf("a2"), "sub/c.jsonl": rowOf("c"), "none.jsonl": ""}
	for name, c := range map[string]struct {
		files map[string]string
		split Split
		want  []string // the questions
		err   string
	}{
		"the requested split":                   {splits, Test, []string{"test"}, ""},
		"another one":                           {splits, Validation, []string{"validation"}, ""},
		"no split requested":                    {splits, "", nil, `has the splits "train", "validation", "test": name one of its files`},
		"a missing split":                       {hub, Validation, nil, `has no split "validation"; it has "train", "test"`},
		"parts of a split":                      {hub, Train, []string{"1", "2"}, ""},
		"one split, another requested":          {map[string]string{"train/a.jsonl": rowOf("a"), "train/b.jsonl": rowOf("b"), "more.jsonl": rowOf("c")}, Test, []string{"a", "b"}, ""},
		"the name has priority over the folder": {map[string]string{"train/test.jsonl": rowOf("a"), "train/x.jsonl": rowOf("b")}, Test, []string{"a"}, ""},
		"words, not letters":                    {map[string]string{"contest.jsonl": rowOf("a"), "latest.jsonl": rowOf("b")}, Test, []string{"a", "b"}, ""},
		"names without splits":                  {plain, Train, []string{"a1", "a2", "b", "c"}, ""},
		"mixed formats":                         {map[string]string{"a.jsonl": rowOf("a"), "b.csv": "question\nb\n"}, "", nil, "the folder mixes formats: a.jsonl and b.csv"},
		"nothing to read":                       {map[string]string{"README.md": "x", "state.json": "{}"}, "", nil, "no file in the folder is of a format that can be read"},
		"files without rows":                    {map[string]string{"a.jsonl": "", "b.jsonl": "\n"}, "", nil, "the data set is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := Open(t.Context(), Source{Path: write(t, c.files), Split: c.split}, Columns{Question: "question"})
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("%v, want %q", err, c.err)
				}
				if _, missing := errors.AsType[*MissingSplitError](err); missing != strings.Contains(c.err, "split") {
					t.Errorf("%v is of type %T", err, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for i, row := range collect(t, d) {
				got = append(got, row.Question)
				if row.Index != i {
					t.Errorf("row %d has index %d", i, row.Index)
				}
			}
			if !slices.Equal(got, c.want) || d.Info().Rows != len(c.want) {
				t.Errorf("%q, %d rows; want %q", got, d.Info().Rows, c.want)
			}
		})
	}
}

// TestLinkedFiles: the cache of the Hub's own client consists of links.
func TestLinkedFiles(t *testing.T) {
	t.Parallel()
	blobs := write(t, map[string]string{"0123": rowOf("linked")})
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(blobs, "0123"), filepath.Join(dir, "train.jsonl")); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "snapshot")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	d, err := Open(t.Context(), Source{Path: link}, Columns{Question: "question"})
	if err != nil {
		t.Fatal(err)
	}
	if rows := collect(t, d); len(rows) != 1 || rows[0].Question != "linked" {
		t.Errorf("%+v", rows)
	}
}

// TestDigest: the digest of a single file, and of the output of sha256sum for
// several files.
func TestDigest(t *testing.T) {
	t.Parallel()
	sum := func(s string) string {
		h := sha256.Sum256([]byte(s))
		return hex.EncodeToString(h[:])
	}
	a, b := rowOf("a"), rowOf("b")+rowOf("c")
	files := map[string]string{"a.jsonl": a, "sub/b.jsonl": b}
	dir := write(t, files)
	info := func(path string) Info {
		d, err := Open(t.Context(), Source{Path: path}, Columns{Question: "question"})
		if err != nil {
			t.Fatal(err)
		}
		return d.Info()
	}
	if got := info(filepath.Join(dir, "a.jsonl")); got.SHA256 != sum(a) || got.Rows != 1 || got.Bytes != int64(len(a)) {
		t.Errorf("a file: %+v, want the digest %s", got, sum(a))
	}
	want := sum(sum(a) + "  a.jsonl\n" + sum(b) + "  sub/b.jsonl\n")
	if got := info(dir); got.SHA256 != want || got.Rows != 3 || got.Bytes != int64(len(a)+len(b)) || !slices.Equal(got.Files, []string{"a.jsonl", "sub/b.jsonl"}) {
		t.Errorf("a folder: %+v, want the digest %s", got, want)
	}
	if got := info(write(t, files)); got.SHA256 != want {
		t.Error("the digest depends on where the folder is")
	}
}

// TestRowError: an error has the row and the file.
func TestRowError(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		content, want string
	}{
		"null.jsonl":       {rowOf("1") + "\n{\"question\": null}\n", `null.jsonl:3: column "question" has no value`},
		"no key.jsonl":     {rowOf("1") + "{\"answer\": \"a\"}\n", `no key.jsonl:2: column "question" has no value`},
		"cut.jsonl":        {rowOf("1") + `{"question": "2`, "cut.jsonl:2: the JSON ends in the middle"},
		"no object.jsonl":  {rowOf("1") + "[1]\n", "no object.jsonl:2: the row is no JSON object"},
		"two.jsonl":        {"{\"question\": \"1\"} {}\n", "two.jsonl:1: something follows the row's JSON object"},
		"null.json":        {"[\n{\"question\": \"1\"},\n\n{\"question\": null}]", `null.json:4: column "question" has no value`},
		"cut.json":         {"[\n{\"question\": \"1\"},\n", "cut.json:2: the JSON ends in the middle"},
		"ragged.csv":       {"question,answer\n1,2\n\"3\n4\",5\n6\n", "ragged.csv:5: wrong number of fields"},
		"twice.csv":        {"question,answer,question\n1,2,3\n", `twice.csv:1: column "question" occurs twice`},
		"no gzip.jsonl.gz": {rowOf("1"), "no gzip.jsonl.gz:1: gzip: invalid header"},
	} {
		_, err := Open(t.Context(), Source{Path: filepath.Join(write(t, map[string]string{name: c.content}), name)}, Columns{Question: "question"})
		var row *RowError
		if !errors.As(err, &row) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	dir := write(t, map[string]string{"a.csv": "question,answer\n1,2\n", "b.csv": "question,reply\n1,2\n"})
	_, err := Open(t.Context(), Source{Path: dir}, Columns{Question: "question", Answer: "answer"})
	if err == nil || !strings.Contains(err.Error(), `b.csv has no column "answer"; it has "question", "reply"`) {
		t.Errorf("the second file lacks a column: %v", err)
	}
	for _, name := range []string{"rows.txt", "rows", "rows.parquet.gz"} {
		if _, err := Open(t.Context(), Source{Path: filepath.Join(write(t, map[string]string{name: rowOf("1")}), name)}, Columns{Question: "question"}); !errors.Is(err, ErrUnknownFormat) {
			t.Errorf("%s: %v, want ErrUnknownFormat", name, err)
		}
	}
}

// TestLargeFileIsStreamed does not run in parallel, because it measures the heap of
// the whole test program.
func TestLargeFileIsStreamed(t *testing.T) {
	const rows, limit = 50_000, 4 << 20
	path := filepath.Join(t.TempDir(), "large.jsonl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	for i := range rows {
		fmt.Fprintf(w, "{\"question\": \"%d %s\", \"answer\": \"a\"}\n", i, strings.Repeat("word ", 40))
	}
	if err := errors.Join(w.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	inUse := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := inUse()
	d, err := Open(t.Context(), Source{Path: path}, Columns{Question: "question", Answer: "answer"})
	if err != nil {
		t.Fatal(err)
	}
	highest := uint64(0)
	for row, err := range d.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Index%(rows/10) == 0 {
			highest = max(highest, inUse())
		}
	}
	if d.Info().Rows != rows || highest > before+limit {
		t.Errorf("%d rows of %d MiB needed up to %d KiB", d.Info().Rows, d.Info().Bytes>>20, (highest-before)>>10)
	}
}
