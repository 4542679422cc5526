package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/report/pipelinesummary"
	"github.com/tunebus/tunebus/services/tracker/report/reporttest"
	"github.com/tunebus/tunebus/services/tracker/report/scores"
)

func write(t *testing.T, r Report) (dir string, files []File) {
	t.Helper()
	dir = t.TempDir()
	files, err := Write(t.Context(), dir, r)
	if err != nil {
		t.Fatal(err)
	}
	return dir, files
}

func TestWriteFiles(t *testing.T) {
	t.Parallel()
	dir, files := write(t, Report{Run: reporttest.Run(), Scores: reporttest.Opener(reporttest.Scores)})
	var names []string
	for _, f := range files {
		names = append(names, f.Name)
		info, err := os.Stat(f.Path)
		if err != nil || info.Size() != f.Size || f.Size == 0 || f.Path != filepath.Join(dir, f.Name) || f.MediaType == "" {
			t.Errorf("file %+v: %v", f, err)
		}
	}
	if want := []string{PipelineSummaryName, ConfigName, SummaryName, WorkbookName}; !slices.Equal(names, want) {
		t.Errorf("files %v", names)
	}
	if there, err := os.ReadDir(dir); err != nil || len(there) != len(files) {
		t.Errorf("left in the folder: %v, %v", there, err)
	}
}

func TestWriteIsRepeatable(t *testing.T) {
	t.Parallel()
	r := Report{Run: reporttest.Run(), Scores: reporttest.Opener(reporttest.Scores)}
	first, _ := write(t, r)
	second, _ := write(t, r)
	for _, name := range []string{PipelineSummaryName, ConfigName, SummaryName, WorkbookName} {
		a, errA := os.ReadFile(filepath.Join(first, name))
		b, errB := os.ReadFile(filepath.Join(second, name))
		if err := errors.Join(errA, errB); err != nil || string(a) != string(b) {
			t.Errorf("%s differs the second time: %v", name, err)
		}
	}
}

func TestWriteWithoutScores(t *testing.T) {
	t.Parallel()
	_, files := write(t, Report{Run: reporttest.Run()})
	if len(files) != 2 || files[0].Name != PipelineSummaryName || files[1].Name != ConfigName {
		t.Errorf("files %+v", files)
	}
}

func TestWriteFaults(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for name, test := range map[string]struct {
		open scores.Opener
		want string
	}{
		"missing":   {func(context.Context) (io.ReadCloser, error) { return nil, gone }, "open scores: gone"},
		"malformed": {reporttest.Opener("{\"index\":0}\n\n{\"index\":"), "line 3"},
		"no object": {reporttest.Opener(`[1]`), "line 1"},
		"bad score": {reporttest.Opener(`{"scores":{"a":"x"}}`), "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			old := filepath.Join(dir, WorkbookName)
			if err := os.WriteFile(old, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			files, err := Write(t.Context(), dir, Report{Run: reporttest.Run(), Scores: test.open})
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			if len(files) != 2 {
				t.Errorf("files %+v", files)
			}
			if text, err := os.ReadFile(old); string(text) != "old" {
				t.Errorf("the old workbook is now %q, %v", text, err)
			}
		})
	}
}

// TestWriteIsAtomic: if the second reading of the scores fails, no partial file
// is left.
func TestWriteIsAtomic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opened := 0
	open := func(context.Context) (io.ReadCloser, error) {
		if opened++; opened > 1 {
			return io.NopCloser(strings.NewReader(`{"index":0}` + "\nbroken")), nil
		}
		return io.NopCloser(strings.NewReader(reporttest.Scores)), nil
	}
	if _, err := Write(t.Context(), dir, Report{Run: reporttest.Run(), Scores: open}); err == nil || !strings.Contains(err.Error(), WorkbookName) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, WorkbookName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a broken workbook is there: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := Write(t.Context(), filepath.Join(dir, SummaryName), Report{Run: reporttest.Run()}); err == nil {
		t.Error("a file as folder: no error")
	}
}

func TestWriteStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Write(ctx, t.TempDir(), Report{Run: reporttest.Run(), Scores: reporttest.Opener(reporttest.Scores)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestSummaryJSON(t *testing.T) {
	t.Parallel()
	dir, _ := write(t, Report{Run: reporttest.Run(), Scores: reporttest.Opener(reporttest.Scores)})
	var s scores.Summary
	readJSON(t, filepath.Join(dir, SummaryName), &s)
	if s.RunID != "01RUN" || s.RunName != "nightly" || s.Rows != 5 || s.Failed != 1 || s.Empty != 1 || s.WithKeyFact != 4 || s.MissingKeyFact != 2 {
		t.Errorf("summary %+v", s)
	}
	if len(s.Metrics) != 3 || s.Metrics[0].Name != "chrf" || s.Metrics[1].Name != "key_fact_accuracy" || s.Metrics[1].Baseline != nil {
		t.Fatalf("metrics %+v", s.Metrics)
	}
	rouge := s.Metrics[2]
	if rouge.Statistics.Count != 4 || rouge.Baseline.Count != 2 || fmt.Sprintf("%.3f %.3f %.3f", rouge.Statistics.Mean, rouge.Statistics.Median, *rouge.Difference) != "0.550 0.600 0.400" {
		t.Errorf("rouge_score %+v, %+v, %v", rouge.Statistics, rouge.Baseline, *rouge.Difference)
	}
	if s.Scores["corpus"] != 40 || !s.Gates[0].Met {
		t.Errorf("scores %v, gates %v", s.Scores, s.Gates)
	}
}

func readJSON(t *testing.T, path string, v any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestPipelineSummaryJSON(t *testing.T) {
	t.Parallel()
	dir, _ := write(t, Report{Run: reporttest.Run()})
	var s pipelinesummary.Summary
	readJSON(t, filepath.Join(dir, PipelineSummaryName), &s)
	if s.Conclusion != events.Success || s.DurationSeconds != 180 || !s.EndedAt.Equal(reporttest.Began.Add(3*time.Minute)) || s.Lineage.RerunOf != "01OLD" || s.Labels["team"] != "a<b" {
		t.Errorf("summary %+v", s)
	}
	if fmt.Sprint(s.Gains) != "map[rouge_score:0.5]" {
		t.Errorf("gains %v", s.Gains)
	}
	if len(s.Phases) != 3 {
		t.Fatalf("phases %+v", s.Phases)
	}
	tune := s.Phases[0]
	if tune.Status != "success" || tune.Attempts != 2 || tune.Worker != "two" || tune.DurationSeconds != 90 || tune.Artifacts[0].Reference.Key != "k" || tune.AttemptResults[0].LastStep != 20 || tune.AttemptResults[1].Outcome != "success" {
		t.Errorf("fine-tuning %+v", tune)
	}
	if s.Phases[1].Status != "not started" || s.Phases[1].StartedAt != nil {
		t.Errorf("inference %+v", s.Phases[1])
	}
}

// TestCommandsSayWhereTheRunIs: the command that takes the model out can be typed as it stands in
// each file that has it.
func TestCommandsSayWhereTheRunIs(t *testing.T) {
	t.Parallel()
	run := reporttest.Run()
	run.Phases[events.Finetune].Completed.Artifacts = []events.Artifact{{Name: events.ArtifactModel}}
	dir, _ := write(t, Report{Run: run, Scores: reporttest.Opener(reporttest.Scores), On: []string{"--data", "/my data"}})
	const want = "tunebus export 01RUN nightly --data '/my data'"
	for _, name := range []string{PipelineSummaryName, SummaryName} {
		var s struct {
			Export string `json:"export"`
		}
		if readJSON(t, filepath.Join(dir, name), &s); s.Export != want {
			t.Errorf("%s: %q", name, s.Export)
		}
	}
	book, err := excelize.OpenFile(filepath.Join(dir, WorkbookName))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	for _, sheet := range book.GetSheetList() {
		if found, err := book.SearchSheet(sheet, want); err != nil {
			t.Fatal(err)
		} else if len(found) > 0 {
			return
		}
	}
	t.Error("the workbook does not have the command")
}
