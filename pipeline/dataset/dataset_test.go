package dataset_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// defaults are the columns that the keys name if nobody changes them.
var defaults = dataset.Columns{Question: "question", Answer: "answer"}

func training() dataset.Want { return dataset.Want{Use: dataset.Training, Columns: defaults} }
func forTest() dataset.Want  { return dataset.Want{Use: dataset.Testing, Columns: defaults} }

// write creates files in a new folder and returns the folder.
func write(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// file is a source with one file, as a phase names it.
func file(t testing.TB, name, content string) source.Source {
	t.Helper()
	return source.Source{
		Path: filepath.Join(write(t, map[string]string{name: content}), name),
		Name: name, Key: "fine_tuner.training_data_id", Split: source.Train,
	}
}

// read opens a data set and renders its rows.
func read(t testing.TB, src source.Source, want dataset.Want) (rows []string, info dataset.Info, err error) {
	t.Helper()
	d, err := dataset.Open(t.Context(), src, want)
	if err != nil {
		return nil, dataset.Info{}, err
	}
	for r, err := range d.Rows(t.Context()) {
		if err != nil {
			t.Fatalf("an opened data set cannot be read: %v", err)
		}
		rows = append(rows, render(r))
	}
	if int64(len(rows)) != d.Info().Counts.Rows {
		t.Errorf("%d rows, the counts say %d", len(rows), d.Info().Counts.Rows)
	}
	return rows, d.Info(), nil
}

// render writes a row on one line: the messages, what counts, tools, ground truths.
func render(r row.Row) string {
	if r.IsText() {
		return "text " + r.Text
	}
	var out strings.Builder
	for i, m := range r.Messages {
		if i > 0 {
			out.WriteString(" | ")
		}
		if i == r.Prompted && r.Prompted > 0 {
			out.WriteString("=> ")
		}
		if text, ok := m.Text(); ok && len(m.Images()) == 0 && !m.Calls() {
			out.WriteString(m.Role() + ": " + text)
			continue
		}
		raw, _ := m.MarshalJSON()
		out.Write(raw)
	}
	if !r.Tools.IsMissing() {
		out.WriteString(" tools " + string(r.Tools.AppendJSON(nil)))
	}
	if len(r.Truths) > 1 {
		fmt.Fprintf(&out, " truths %q", r.Truths)
	}
	if len(r.Images) > 0 {
		fmt.Fprintf(&out, " %d images", len(r.Images))
	}
	for _, name := range []string{"key_fact", "nowhere"} {
		if s, ok := r.Fields[name]; ok {
			out.WriteString(" " + name + "=" + s)
		}
	}
	return out.String()
}

// fails checks that an error has all of the words, once each where it is a name.
func fails(t *testing.T, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("no error; want one with %q", words)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%q lacks %q", err, w)
		}
	}
	if strings.Contains(err.Error(), os.TempDir()) {
		t.Errorf("%q has a path of this machine", err)
	}
}
