package clitest

import (
	"archive/zip"
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

	"github.com/tunebus/tunebus/pipeline/fileglob"
)

// MLflowRun is an MLflow run in MLflow's file layout.
type MLflowRun struct {
	ID, Name, Parent string
	Status           string
	Params           map[string]string
	// Metrics has the newest value of each metric, Steps the number of values.
	Metrics   map[string]float64
	Steps     map[string]int
	Artifacts []string
}

// The statuses as MLflow's files have them.
const (
	MLflowFinished = "3"
	MLflowFailed   = "4"
	MLflowKilled   = "5"
)

// MLflowRuns reads the MLflow runs of a run, by phase.
func MLflowRuns(t *testing.T, dir, run string) map[string]MLflowRun {
	t.Helper()
	out := map[string]MLflowRun{}
	tags, err := fileglob.In(dir, "*/*/tags/tunebus.run_id")
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		if Text(t, tag) != run {
			continue
		}
		folder := filepath.Dir(filepath.Dir(tag))
		phase := Text(t, folder+"/tags/tunebus.phase")
		if _, twice := out[phase]; twice {
			t.Errorf("MLflow has two runs of %s", phase)
		}
		r := MLflowRun{
			ID:      filepath.Base(folder),
			Name:    Text(t, folder+"/tags/mlflow.runName"),
			Params:  map[string]string{},
			Metrics: map[string]float64{},
			Steps:   map[string]int{},
		}
		if _, err := os.Stat(folder + "/tags/mlflow.parentRunId"); err == nil {
			r.Parent = Text(t, folder+"/tags/mlflow.parentRunId")
		}
		if m := regexp.MustCompile(`(?m)^status: (\d)$`).FindStringSubmatch(Text(t, folder+"/meta.yaml")); m != nil {
			r.Status = m[1]
		}
		for name, path := range files(t, folder+"/params") {
			r.Params[name] = Text(t, path)
		}
		for name, path := range files(t, folder+"/metrics") {
			lines := strings.Split(strings.TrimSpace(Text(t, path)), "\n")
			v, err := strconv.ParseFloat(strings.Fields(lines[len(lines)-1])[1], 64)
			if err != nil {
				t.Error(err)
			}
			r.Metrics[name], r.Steps[name] = v, len(lines)
		}
		for name := range files(t, folder+"/artifacts") {
			r.Artifacts = append(r.Artifacts, name)
		}
		slices.Sort(r.Artifacts)
		out[phase] = r
	}
	return out
}

// Text reads a file of the test.
func Text(t *testing.T, path string) string {
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

// workbook reads the sheets of a workbook, and counts its charts.
func workbook(t *testing.T, path string) (sheets map[string][][]string, charts int) {
	t.Helper()
	f, err := excelize.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // it was only read
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
	defer func() { _ = archive.Close() }() // it was only read
	for _, part := range archive.File {
		if strings.HasPrefix(part.Name, "xl/charts/chart") {
			charts++
		}
	}
	return sheets, charts
}

// InWorkbook wants a workbook to have so many rows, and the scores.
func InWorkbook(t *testing.T, path string, rows int, scores map[string]float64) {
	t.Helper()
	sheets, charts := workbook(t, path)
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

// Object reads a file of JSON.
func Object[T any](t *testing.T, path string) T {
	t.Helper()
	var out T
	if err := json.Unmarshal([]byte(Text(t, path)), &out); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return out
}

// Write writes a file into a folder.
func Write(t *testing.T, dir, name, body string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(body+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}
