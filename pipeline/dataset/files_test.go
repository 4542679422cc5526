package dataset_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// rowOf is a row of JSON lines.
func rowOf(question string) string {
	return fmt.Sprintf("{\"question\": %q, \"answer\": \"a\"}\n", question)
}

// folder is a source with these files, as a phase names it.
func folder(t testing.TB, files map[string]string, split source.Split) source.Source {
	t.Helper()
	return source.Source{Path: write(t, files), Name: "data", Key: "inferencer.testing_data_id", Split: split}
}

// questions returns the questions of a data set, and checks the positions of rows.
func questions(t *testing.T, d *dataset.Dataset) (out []string) {
	t.Helper()
	for r, err := range d.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if r.Place.Position != int64(len(out)) {
			t.Errorf("row %d has the position %d", len(out), r.Place.Position)
		}
		out = append(out, r.Question())
	}
	return out
}

// TestFolders: the files of a folder that are read, their order, and folders that
// cannot be read.
func TestFolders(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		split source.Split
		want  []string // the questions
		err   []string
	}{
		"a split": {map[string]string{"train.jsonl": rowOf("train"), "test.jsonl": rowOf("test"), "README.md": "not data"}, source.Test, []string{"test"}, nil},
		"parts of a split": {map[string]string{
			"data/train-00000-of-00002.jsonl": rowOf("1"), "data/train-00001-of-00002.jsonl": rowOf("2"), "data/test-00000-of-00001.jsonl": rowOf("3"),
			"dataset_infos.json": "{}", ".cache/train.jsonl": rowOf("hidden"), ".train.jsonl": rowOf("hidden"),
		}, source.Train, []string{"1", "2"}, nil},
		"names without splits": {map[string]string{
			"b.jsonl": rowOf("b"), "a.jsonl": rowOf("a1") + rowOf("a2"), "sub/c.jsonl": rowOf("c"), "none.jsonl": "",
		}, source.Train, []string{"a1", "a2", "b", "c"}, nil},
		"a card":              {map[string]string{"README.md": "---\nconfigs:\n- {config_name: x, data_files: b.jsonl}\n---\n", "a.jsonl": rowOf("a"), "b.jsonl": rowOf("b")}, source.Train, []string{"b"}, nil},
		"a part is missing":   {map[string]string{"train-00000-of-00002.jsonl": rowOf("1")}, source.Train, nil, []string{"train-00000-of-00002.jsonl is a part", "train-00001-of-00002.jsonl is not there"}},
		"a part of others":    {map[string]string{"train-00000-of-00002.jsonl": rowOf("1"), "train-00001-of-00003.jsonl": rowOf("2")}, source.Train, nil, []string{"is not there"}},
		"parts of a card":     {map[string]string{"README.md": "---\nconfigs:\n- {config_name: x, data_files: a-00000-of-00002.jsonl}\n---\n", "a-00000-of-00002.jsonl": rowOf("1")}, source.Train, []string{"1"}, nil},
		"packed and not":      {map[string]string{"train.jsonl": rowOf("1"), "train.jsonl.gz": rowOf("1")}, source.Train, nil, []string{"train.jsonl and train.jsonl.gz are both there"}},
		"mixed formats":       {map[string]string{"a.jsonl": rowOf("a"), "b.csv": "question,answer\nb,a\n"}, "", nil, []string{"data: the folder mixes formats: a.jsonl and b.csv"}},
		"nothing to read":     {map[string]string{"notes.txt": "x", "state.json": "{}"}, "", nil, []string{"data: the data set is empty: no file in the folder is of a format that can be read"}},
		"files without rows":  {map[string]string{"a.jsonl": "", "b.jsonl": "\n"}, "", nil, []string{"the data set is empty"}},
		"a column is missing": {map[string]string{"a.csv": "question,answer\n1,2\n", "b.csv": "question,reply\n1,2\n"}, "", nil, []string{"data/b.csv", `there is no column "answer"; it has the columns "question", "reply"`}},
		"a broken row":        {map[string]string{"a.jsonl": rowOf("1"), "b.jsonl": rowOf("2") + "{"}, "", nil, []string{"data/b.jsonl, line 2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := dataset.Open(t.Context(), folder(t, c.files, c.split), training())
			if c.err != nil {
				fails(t, err, c.err...)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := questions(t, d); !slices.Equal(got, c.want) || d.Info().Counts.Rows != int64(len(c.want)) {
				t.Errorf("%q, %d rows; want %q", got, d.Info().Counts.Rows, c.want)
			}
		})
	}
}

// TestLinkedFolder: a link to a folder may lead anywhere, so it is not followed, and
// that is said.
func TestLinkedFolder(t *testing.T) {
	t.Parallel()
	src := folder(t, map[string]string{"a.jsonl": rowOf("1"), "README.md": "not data"}, source.Train)
	if err := errors.Join(os.Symlink(t.TempDir(), filepath.Join(src.Path, "more")), os.Symlink("nowhere", filepath.Join(src.Path, "notes"))); err != nil {
		t.Fatal(err)
	}
	_, info, err := read(t, src, training())
	if want := "inferencer.testing_data_id: the folder more is a link, and is not read"; err != nil || !slices.Contains(info.Notes, want) {
		t.Errorf("%q, %v; want %q", info.Notes, err, want)
	}
}

// TestFiles: a file has no splits, and one that two keys name gets a note.
func TestFiles(t *testing.T) {
	t.Parallel()
	src := file(t, "rows.jsonl", rowOf("1"))
	src.Key, src.SharedWith = "inferencer.testing_data_id", "fine_tuner.training_data_id"
	if _, info, err := read(t, src, training()); err != nil || len(info.Notes) > 0 {
		t.Errorf("%q, %v: the later key tells", info.Notes, err)
	}
	src.Again = true
	_, info, err := read(t, src, training())
	if want := "inferencer.testing_data_id: fine_tuner.training_data_id names the same file"; err != nil || !slices.Equal(info.Notes, []string{want}) {
		t.Errorf("%q, %v; want %q", info.Notes, err, want)
	}
	src.Name = "rows.jsonl:hard"
	src.Selection = source.Selection{Name: "hard"}
	_, _, err = read(t, src, training())
	fails(t, err, `rows.jsonl:hard: a file has neither configurations nor splits; leave ":hard" out`)

	for _, name := range []string{"rows.txt", "rows", "rows.parquet.gz"} {
		_, _, err := read(t, file(t, name, rowOf("1")), training())
		fails(t, err, name)
		if !errors.Is(err, reader.ErrUnknownFormat) {
			t.Errorf("%s: %v, want ErrUnknownFormat", name, err)
		}
	}
	src = source.Source{Path: filepath.Join(t.TempDir(), "input-x"), Name: "mine/rows.jsonl"}
	_, _, err = read(t, src, training())
	fails(t, err, "mine/rows.jsonl: no such file")
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want ErrNotExist", err)
	}
}

// TestLinkedFiles: the cache of the Hub's own client consists of links.
func TestLinkedFiles(t *testing.T) {
	t.Parallel()
	blobs := write(t, map[string]string{"0123": rowOf("linked")})
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "snapshot")
	if err := errors.Join(os.Symlink(filepath.Join(blobs, "0123"), filepath.Join(dir, "train.jsonl")), os.Symlink(dir, link)); err != nil {
		t.Fatal(err)
	}
	d, err := dataset.Open(t.Context(), source.Source{Path: link}, training())
	if err != nil {
		t.Fatal(err)
	}
	if got := questions(t, d); !slices.Equal(got, []string{"linked"}) {
		t.Errorf("%q", got)
	}
}

// TestDigest: the digest of a single file, and of the output of sha256sum for
// several files. MLflow and earlier runs know data sets by it.
func TestDigest(t *testing.T) {
	t.Parallel()
	sum := func(s string) string {
		h := sha256.Sum256([]byte(s))
		return hex.EncodeToString(h[:])
	}
	a, b := rowOf("a"), rowOf("b")+rowOf("c")
	files := map[string]string{"a.jsonl": a, "sub/b.jsonl": b}
	dir := write(t, files)
	info := func(path string) dataset.Info {
		d, err := dataset.Open(t.Context(), source.Source{Path: path}, training())
		if err != nil {
			t.Fatal(err)
		}
		return d.Info()
	}
	if got := info(filepath.Join(dir, "a.jsonl")); got.SHA256 != sum(a) || got.Counts.Rows != 1 || got.Bytes != int64(len(a)) {
		t.Errorf("a file: %+v, want the digest %s", got, sum(a))
	}
	want := sum(sum(a) + "  a.jsonl\n" + sum(b) + "  sub/b.jsonl\n")
	if got := info(dir); got.SHA256 != want || got.Counts.Rows != 3 || got.Bytes != int64(len(a)+len(b)) || !slices.Equal(got.Files, []string{"a.jsonl", "sub/b.jsonl"}) {
		t.Errorf("a folder: %+v, want the digest %s", got, want)
	}
	if got := info(write(t, files)); got.SHA256 != want || got.Event("key").SHA256 != want || got.Event("key").Rows != 3 {
		t.Error("the digest depends on where the folder is")
	}
}

func TestRowsStopWithTheirContext(t *testing.T) {
	t.Parallel()
	src := file(t, "r.jsonl", rowOf("1")+rowOf("2")+rowOf("3"))
	d, err := dataset.Open(t.Context(), src, training())
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
	if _, err := dataset.Open(ctx, src, training()); !errors.Is(err, context.Canceled) {
		t.Errorf("open: %v", err)
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
		fmt.Fprintf(w, `{"messages": [{"role": "user", "content": "%d %s"}, {"role": "assistant", "content": "a"}]}`+"\n", i, strings.Repeat("word ", 40))
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
	d, err := dataset.Open(t.Context(), source.Source{Path: path}, training())
	if err != nil {
		t.Fatal(err)
	}
	highest := uint64(0)
	for row, err := range d.Rows(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if row.Place.Position%(rows/10) == 0 {
			highest = max(highest, inUse())
		}
	}
	if d.Info().Counts.Rows != rows || highest > before+limit {
		t.Errorf("%d rows of %d MiB needed up to %d KiB", d.Info().Counts.Rows, d.Info().Bytes>>20, (highest-before)>>10)
	}
}

// TestDelimiters: a delimiter that nobody looks for is named by a key, which the error
// of the table says. Keys that a format has no use for are a note.
func TestDelimiters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, body string) source.Source {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		return source.Source{Path: path, Name: name, Key: "fine_tuner.training_data_id"}
	}
	_, err := dataset.Open(t.Context(), write("cut.csv", "question^answer\nWhere?^Here, there.\n"), training())
	fails(t, err, "cut.csv, line 2: the row has 2 cells, the header has 1", `fine_tuner.data_delimiter = "^" may be meant`)
	caret := write("caret.csv", "question^answer\nWhere?^Here; or there at \"9\".\n")
	_, err = dataset.Open(t.Context(), caret, training())
	fails(t, err, "caret.csv", `it has the columns "question^answer"`, `if '^' separates the cells, set fine_tuner.data_delimiter = "^"`)
	want := training()
	want.Delimiter = "^"
	rows, _, err := read(t, caret, want)
	if err != nil || len(rows) != 1 || rows[0] != `user: Where? | assistant: Here; or there at "9".` {
		t.Errorf("%q, %v", rows, err)
	}
	_, err = dataset.Open(t.Context(), write("ragged.csv", "question,answer\nWhere?,Here, there.\n"), training())
	fails(t, err, "ragged.csv, line 2", "fine_tuner.data_delimiter names another delimiter")
	want.Delimiter = "||"
	_, err = dataset.Open(t.Context(), caret, want)
	fails(t, err, `fine_tuner.data_delimiter: "||" cannot separate cells`)
	want.Delimiter, want.Encoding = ";", "cp1252"
	_, info, err := read(t, write("rows.jsonl", `{"question":"q","answer":"a"}`), want)
	if notes := strings.Join(info.Notes, "\n"); err != nil || notes != "fine_tuner.training_data_id: fine_tuner.data_delimiter has no effect on jsonl files" {
		t.Errorf("%q, %v", notes, err)
	}
	_, info, err = read(t, source.Source{Path: "testdata/formats/question_answer.parquet", Name: "q.parquet"}, want)
	if notes := strings.Join(info.Notes, "\n"); err != nil || !strings.Contains(notes, "data_delimiter has no effect on parquet files") || !strings.Contains(notes, "data_encoding has no effect") {
		t.Errorf("%q, %v", notes, err)
	}
}
