package report

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/tunebus/tunebus/events"
)

var began = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// testRun is a run that went through, with a second attempt at fine-tuning.
func testRun() events.Run {
	facts := []events.Fact{
		events.PipelineAccepted{
			RunID: "01RUN", RunName: "nightly", RequestedAt: began,
			Plan:    []events.Step{{Phase: events.Finetune, Queue: "builtin"}, {Phase: events.Inference, Queue: "builtin"}, {Phase: events.Evaluation, Queue: "builtin"}},
			Labels:  map[string]string{"team": "a<b"},
			Lineage: events.Lineage{RequestSequence: 7, RerunOf: "01OLD"},
		},
		events.PhaseStarted{RunID: "01RUN", Phase: events.Finetune, Attempt: 1, Worker: "one", Engine: "builtin"},
		events.AttemptEnded{RunID: "01RUN", Phase: events.Finetune, Attempt: 1, Reason: events.EndShutdown, LastStep: 20},
		events.PhaseStarted{RunID: "01RUN", Phase: events.Finetune, Attempt: 2, Worker: "two", Engine: "builtin", ResumedFrom: 20},
		events.PhaseCompleted{
			RunID: "01RUN", Phase: events.Finetune, Attempt: 2, Conclusion: events.Success,
			StartedAt: began, EndedAt: began.Add(90 * time.Second), Statistics: map[string]float64{"final_training_loss": 0.5},
			Artifacts: []events.Artifact{{Name: "model", Reference: events.Reference{Store: "s", Key: "k", Size: 3, SHA256: "ab"}}},
		},
		events.PhaseCompleted{
			RunID: "01RUN", Phase: events.Evaluation, Attempt: 1, Conclusion: events.Success,
			StartedAt: began.Add(2 * time.Minute), EndedAt: began.Add(3 * time.Minute),
			Scores:         map[string]float64{"rouge_score": 0.75, "key_fact_accuracy": 0.5, "corpus": 40},
			BaselineScores: map[string]float64{"rouge_score": 0.25},
			Gates:          []events.Gate{{Metric: "rouge_score", AtLeast: 0.7, Score: 0.75, Met: true}},
		},
		events.PipelineCompleted{
			RunID: "01RUN", Conclusion: events.Success, StartedAt: began, EndedAt: began.Add(3 * time.Minute), DurationSeconds: 180,
		},
	}
	return events.Fold(facts)
}

const testScores = `{"index":0,"question":"=1+2","ground_truth":"+3","answer":"-3","baseline_answer":"@SUM(A1)","key_fact":"3","scores":{"rouge_score":0.8,"chrf":80},"baseline_scores":{"rouge_score":0.2,"chrf":20}}
{"index":1,"question":"Who?","ground_truth":"Ada Lovelace","answer":"  ","baseline_answer":"Bob","key_fact":"Ada","scores":{"rouge_score":0,"chrf":0},"baseline_scores":{"rouge_score":0.1,"chrf":12}}

{"index":2,"question":"Where?","ground_truth":"In Paris","answer":"in  PARIS\u0007","baseline_answer":"?","key_fact":"in paris","scores":{"rouge_score":1.0000000000000004,"chrf":null},"baseline_scores":{}}
{"index":3,"question":"Why?","ground_truth":"Because","answer":"","scores":{},"error":"model: out of memory"}
{"index":4,"question":"How?","ground_truth":"Fast","answer":"slow","key_fact":"Fast","scores":{"rouge_score":0.4,"chrf":31,"key_fact_accuracy":0}}`

func opener(text string) Opener {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

func write(t *testing.T, r Report) (dir string, files []File) {
	t.Helper()
	dir = t.TempDir()
	files, err := Write(t.Context(), dir, r)
	if err != nil {
		t.Fatal(err)
	}
	return dir, files
}

func openWorkbook(t *testing.T, dir string) *excelize.File {
	t.Helper()
	f, err := excelize.OpenFile(filepath.Join(dir, WorkbookName))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// cells reads a sheet as it is stored, without number formats.
func cells(t *testing.T, f *excelize.File, sheet string) [][]string {
	t.Helper()
	all, err := f.GetRows(sheet, excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// find returns the rows of a sheet that start with the given cells.
func find(all [][]string, start ...string) [][]string {
	var found [][]string
	for _, row := range all {
		if len(row) >= len(start) && slices.Equal(row[:len(start)], start) {
			found = append(found, row)
		}
	}
	return found
}

func TestWriteFiles(t *testing.T) {
	t.Parallel()
	dir, files := write(t, Report{Run: testRun(), Scores: opener(testScores)})
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
	r := Report{Run: testRun(), Scores: opener(testScores)}
	first, _ := write(t, r)
	second, _ := write(t, r)
	for _, name := range []string{PipelineSummaryName, ConfigName, SummaryName} {
		a, errA := os.ReadFile(filepath.Join(first, name))
		b, errB := os.ReadFile(filepath.Join(second, name))
		if err := errors.Join(errA, errB); err != nil || string(a) != string(b) {
			t.Errorf("%s differs the second time: %v", name, err)
		}
	}
	a, b := parts(t, first, ""), parts(t, second, "")
	delete(a, "[Content_Types].xml")
	delete(b, "[Content_Types].xml")
	if len(a) < 10 || !maps.Equal(a, b) {
		t.Errorf("%s differs the second time", WorkbookName)
	}
}

func TestWriteWithoutScores(t *testing.T) {
	t.Parallel()
	_, files := write(t, Report{Run: testRun()})
	if len(files) != 2 || files[0].Name != PipelineSummaryName || files[1].Name != ConfigName {
		t.Errorf("files %+v", files)
	}
}

func TestWriteFaults(t *testing.T) {
	t.Parallel()
	gone := errors.New("gone")
	for name, test := range map[string]struct {
		open Opener
		want string
	}{
		"missing":   {func(context.Context) (io.ReadCloser, error) { return nil, gone }, "open scores: gone"},
		"malformed": {opener("{\"index\":0}\n\n{\"index\":"), "line 3"},
		"no object": {opener(`[1]`), "line 1"},
		"bad score": {opener(`{"scores":{"a":"x"}}`), "line 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			old := filepath.Join(dir, WorkbookName)
			if err := os.WriteFile(old, []byte("old"), 0o600); err != nil {
				t.Fatal(err)
			}
			files, err := Write(t.Context(), dir, Report{Run: testRun(), Scores: test.open})
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

// The second reading of the scores fails: nothing half-written is left.
func TestWriteIsAtomic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	opened := 0
	open := func(context.Context) (io.ReadCloser, error) {
		if opened++; opened > 1 {
			return io.NopCloser(strings.NewReader(`{"index":0}` + "\nbroken")), nil
		}
		return io.NopCloser(strings.NewReader(testScores)), nil
	}
	if _, err := Write(t.Context(), dir, Report{Run: testRun(), Scores: open}); err == nil || !strings.Contains(err.Error(), WorkbookName) {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, WorkbookName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a broken workbook is there: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if _, err := Write(t.Context(), filepath.Join(dir, SummaryName), Report{Run: testRun()}); err == nil {
		t.Error("a file as folder: no error")
	}
}

func TestWriteStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Write(ctx, t.TempDir(), Report{Run: testRun(), Scores: opener(testScores)})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func TestSummaryJSON(t *testing.T) {
	t.Parallel()
	dir, _ := write(t, Report{Run: testRun(), Scores: opener(testScores)})
	var s Summary
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
	dir, _ := write(t, Report{Run: testRun()})
	var s PipelineSummary
	readJSON(t, filepath.Join(dir, PipelineSummaryName), &s)
	if s.Conclusion != events.Success || s.DurationSeconds != 180 || !s.EndedAt.Equal(began.Add(3*time.Minute)) || s.Lineage.RerunOf != "01OLD" || s.Labels["team"] != "a<b" {
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
	if s.Phases[1].Status != events.StatusWaiting || s.Phases[1].StartedAt != nil {
		t.Errorf("inference %+v", s.Phases[1])
	}
}

func TestPipelineSummaryOfUnfinishedRuns(t *testing.T) {
	t.Parallel()
	rejected := events.Fold([]events.Fact{events.PipelineRejected{RequestSequence: 9, RunID: "r", Faults: []events.Fault{{Key: "k"}}}})
	if s := SummarisePipeline(rejected); s.Status != "rejected" || len(s.Faults) != 1 || s.Lineage.RequestSequence != 9 {
		t.Errorf("rejected %+v", s)
	}
	if s := SummarisePipeline(events.Run{}); s.Status != events.StatusUnknown {
		t.Errorf("unknown %+v", s)
	}
}
