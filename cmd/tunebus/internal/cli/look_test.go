package cli_test

import (
	"archive/zip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// connected is a connection to a server for the length of a test.
func connected(t *testing.T, o conn.Options) *conn.Conn {
	t.Helper()
	b, err := conn.Connect(context.WithoutCancel(t.Context()), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// facts reads a run's facts: their types in the stream's order, and its end.
func facts(t *testing.T, b *conn.Conn, run string) (story string, end events.PipelineCompleted) {
	t.Helper()
	msgs, err := history.New(b).Facts(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, m := range msgs {
		types = append(types, m.Event.Type())
		if c, ok := m.Event.(events.PipelineCompleted); ok {
			end = c
		}
	}
	return strings.Join(types, " "), end
}

// tracked is a run as MLflow's file layout holds it.
type tracked struct {
	id, name, parent string
	status           string
	params           map[string]string
	// metrics are the newest value and how many steps there are.
	metrics   map[string]float64
	steps     map[string]int
	artifacts []string
}

// The statuses as MLflow's files have them.
const (
	finished = "3"
	failed   = "4"
	killed   = "5"
)

// mlflow reads the MLflow runs of a run, by phase.
func mlflow(t *testing.T, dir, run string) map[string]tracked {
	t.Helper()
	out := map[string]tracked{}
	tags, err := filepath.Glob(dir + "/*/*/tags/tunebus.run_id")
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		if text(t, tag) != run {
			continue
		}
		folder := filepath.Dir(filepath.Dir(tag))
		phase := text(t, folder+"/tags/tunebus.phase")
		if _, twice := out[phase]; twice {
			t.Errorf("MLflow has two runs of %s", phase)
		}
		r := tracked{id: filepath.Base(folder), name: text(t, folder+"/tags/mlflow.runName"), params: map[string]string{}, metrics: map[string]float64{}, steps: map[string]int{}}
		if _, err := os.Stat(folder + "/tags/mlflow.parentRunId"); err == nil {
			r.parent = text(t, folder+"/tags/mlflow.parentRunId")
		}
		if m := regexp.MustCompile(`(?m)^status: (\d)$`).FindStringSubmatch(text(t, folder+"/meta.yaml")); m != nil {
			r.status = m[1]
		}
		for name, path := range files(t, folder+"/params") {
			r.params[name] = text(t, path)
		}
		for name, path := range files(t, folder+"/metrics") {
			lines := strings.Split(strings.TrimSpace(text(t, path)), "\n")
			v, err := strconv.ParseFloat(strings.Fields(lines[len(lines)-1])[1], 64)
			if err != nil {
				t.Error(err)
			}
			r.metrics[name], r.steps[name] = v, len(lines)
		}
		for name := range files(t, folder+"/artifacts") {
			r.artifacts = append(r.artifacts, name)
		}
		slices.Sort(r.artifacts)
		out[phase] = r
	}
	return out
}

func text(t *testing.T, path string) string {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// files are the paths of the files below a folder, by their name there; none
// without the folder.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		out[filepath.ToSlash(name)] = path
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return out
}

// book is what a workbook holds, by sheet.
func book(t *testing.T, path string) (sheets map[string][][]string, charts int) {
	t.Helper()
	f, err := excelize.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	sheets = map[string][][]string{}
	for _, name := range f.GetSheetList() {
		if sheets[name], err = f.GetRows(name, excelize.Options{RawCellValue: true}); err != nil {
			t.Fatal(err)
		}
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	for _, part := range archive.File {
		if strings.HasPrefix(part.Name, "xl/charts/chart") {
			charts++
		}
	}
	return sheets, charts
}

// inBook wants the workbook to tell of so many rows and of the scores.
func inBook(t *testing.T, path string, rows int, scores map[string]float64) {
	t.Helper()
	sheets, charts := book(t, path)
	for _, name := range []string{"Summary statistics", "Sample scores", "Score distribution", "Error analysis"} {
		if len(sheets[name]) < 2 {
			t.Errorf("sheet %q has %d rows", name, len(sheets[name]))
		}
	}
	if n := len(sheets["Sample scores"]) - 1; n != rows || charts == 0 {
		t.Errorf("the workbook has %d samples and %d charts, want %d samples", n, charts, rows)
	}
	for name, score := range scores {
		found := slices.ContainsFunc(sheets["Summary statistics"], func(row []string) bool {
			if len(row) < 2 || row[0] != name {
				return false
			}
			v, err := strconv.ParseFloat(row[1], 64)
			return err == nil && fmt.Sprintf("%.6f", v) == fmt.Sprintf("%.6f", score)
		})
		if !found {
			t.Errorf("the workbook has no %s = %v", name, score)
		}
	}
}

// object reads a file of JSON.
func object[T any](t *testing.T, path string) T {
	t.Helper()
	var out T
	if err := json.Unmarshal([]byte(text(t, path)), &out); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}
