package workbook

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/report/losscurve"
	"github.com/tunebus/tunebus/services/tracker/report/reporttest"
	"github.com/tunebus/tunebus/services/tracker/report/scores"
)

// workbookOf writes a workbook.
func workbookOf(t *testing.T, run events.Run, rows string, limit int) []byte {
	t.Helper()
	open := reporttest.Opener(rows)
	summary, err := scores.Summarise(t.Context(), run, open)
	if err != nil {
		t.Fatal(err)
	}
	var content bytes.Buffer
	in := Input{Run: run, Summary: summary, Rows: open}
	if run.Phases[events.Finetune] != nil {
		in.Losses = losscurve.Opener(reporttest.Opener(reporttest.Losses))
	}
	if err := write(t.Context(), &content, in, limit); err != nil {
		t.Fatal(err)
	}
	return content.Bytes()
}

func openWorkbook(t *testing.T, content []byte) *excelize.File {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(content))
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

func TestWorkbookSheets(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, workbookOf(t, reporttest.Run(), reporttest.Scores, maxRows))
	if got, want := f.GetSheetList(), []string{sheetStatistics, sheetSamples, sheetDistribution, sheetErrors, sheetLoss, sheetRun}; !slices.Equal(got, want) {
		t.Errorf("sheets %q", got)
	}
	statistics := cells(t, f, sheetStatistics)
	for _, want := range [][]string{
		{"Evaluation of nightly"},
		{"Rows", "5"}, {"Failed rows", "1"}, {"Empty answers", "1"}, {"Key facts missing", "2", "of 4"},
		{"Metric", "Tuned model", "Base model", "Difference"},
		{"rouge_score", "0.75", "0.25", "0.5"},
		{"corpus", "40"},
		{"rouge_score", "0.75", "0.7", "yes"},
		{"Metric", "Answers of", "Count", "Mean", "Std", "Min", "25 %", "Median", "75 %", "Max"},
		{"chrf", "Tuned model", "3", "37"},
		{"chrf", "Base model", "2", "16", "5.65685424949238", "12", "14", "16", "18", "20"},
		{"key_fact_accuracy", "Tuned model", "1", "0", "", "0", "0", "0", "0", "0"},
	} {
		if len(find(statistics, want...)) != 1 {
			t.Errorf("no row %q in %q", want, statistics)
		}
	}
}

// TestWorkbookUnscored: rows without a score have their reasons beside them, and the
// means and the gates what they stand for.
func TestWorkbookUnscored(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, workbookOf(t, reporttest.UnscoredRun(), reporttest.Unscored, maxRows))
	statistics := cells(t, f, sheetStatistics)
	for _, want := range [][]string{
		{"Rows that lack a score", "3"},
		{"Metric", "Model", "Base model", "Difference", "Scored rows", "Rows", "Coverage"},
		{"exact_match", "0.5", "0.5", "0", "2", "3", "0.666666666666666"}, {"answer_accuracy", "", "", "", "0", "3", "0"},
		{"exact_match", "0.5", "0.4", "no", "2 of 3 rows have the score, 100 % are needed"},
		{"Metric", "Answers of", "Rows", "Reason"},
		{"answer_accuracy", "Model", "2", "the judge is away"},
		{"answer_accuracy", "Base model", "1", "the row has no ground truth"},
	} {
		if len(find(statistics, want...)) != 1 {
			t.Errorf("no row %q in %q", want, statistics)
		}
	}
	samples := cells(t, f, sheetSamples)
	header := slices.Index(samples[0], "No score")
	if header < 0 || samples[1][header] != "answer_accuracy: the judge is away\nbase model: answer_accuracy: the judge is away" ||
		!strings.HasPrefix(samples[2][header], "answer_accuracy, exact_match, rouge_score: the row has no ground truth\n") || samples[1][2] != "t\nu" {
		t.Errorf("samples %q", samples)
	}
	if found := find(cells(t, f, sheetErrors), "no score"); len(found) != 4 || found[0][1] != "3" || !strings.Contains(found[1][len(found[1])-1], "the judge is away") {
		t.Errorf("errors %q", found)
	}
	if failed := find(cells(t, f, sheetErrors), "failed"); len(failed) != 1 || failed[0][1] != "0" {
		t.Errorf("rows without a score count as failed: %q", failed)
	}
	if all := cells(t, f, sheetDistribution); len(find(all, "answer_accuracy")) != 0 || len(find(all, "exact_match")) != 1 {
		t.Errorf("distribution %q", all)
	}
}

func TestWorkbookSamples(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, workbookOf(t, reporttest.Run(), reporttest.Scores, maxRows))
	samples := cells(t, f, sheetSamples)
	want := [][]string{
		{"#", "Question", "Ground truth", "Answer", "Answer of base model", "Key fact", "chrf", "chrf (base model)", "key_fact_accuracy", "rouge_score", "rouge_score (base model)", "Error"},
		{"0", "=1+2", "+3", "-3", "@SUM(A1)", "3", "80", "20", "", "0.8", "0.2"},
		{"1", "Who?", "Ada Lovelace", "  ", "Bob", "Ada", "0", "12", "", "0", "0.1"},
		{"2", "Where?", "In Paris", "in  PARIS\uFFFD", "?", "in paris", "", "", "", "1.00000000000000"},
		{"3", "Why?", "Because", "", "", "", "", "", "", "", "", "model: out of memory"},
		{"4", "How?", "Fast", "slow", "", "Fast", "31", "", "0", "0.4"},
	}
	if !slices.EqualFunc(samples, want, slices.Equal) {
		t.Errorf("samples\n%q\nwant\n%q", samples, want)
	}
}

// TestWorkbookHasNoFormulas: texts come from models and data sets, and must not
// become formulas.
func TestWorkbookHasNoFormulas(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, workbookOf(t, reporttest.Run(), reporttest.Scores, maxRows))
	texts := 0
	for _, sheet := range f.GetSheetList() {
		for y, row := range cells(t, f, sheet) {
			for x, text := range row {
				name, err := excelize.CoordinatesToCellName(x+1, y+1)
				if err != nil {
					t.Fatal(err)
				}
				formula, err := f.GetCellFormula(sheet, name)
				if err != nil || formula != "" {
					t.Errorf("%s!%s: formula %q, %v", sheet, name, formula, err)
				}
				if text == "" || !strings.ContainsAny(text[:1], "=+@") {
					continue
				}
				texts++
				if kind, err := f.GetCellType(sheet, name); err != nil || kind != excelize.CellTypeInlineString && kind != excelize.CellTypeSharedString {
					t.Errorf("%s!%s: %q has type %v, %v", sheet, name, text, kind, err)
				}
			}
		}
	}
	if texts < 3 {
		t.Errorf("%d texts that look like formulas", texts)
	}
}

func TestWorkbookDistribution(t *testing.T) {
	t.Parallel()
	content := workbookOf(t, reporttest.Run(), reporttest.Scores, maxRows)
	f := openWorkbook(t, content)
	all := cells(t, f, sheetDistribution)
	for _, want := range [][]string{
		{"rouge_score", "Tuned model", "Base model"}, {"0 to 0.1", "1", "0"}, {"0.1 to 0.2", "0", "1"}, {"0.9 to 1", "1", "0"},
		{"chrf", "Tuned model", "Base model"}, {"70 to 80", "1", "0"},
		{"key_fact_accuracy", "Tuned model"},
	} {
		if len(find(all, want...)) != 1 {
			t.Errorf("no row %q in %q", want, all)
		}
	}
	charts := parts(t, content, "xl/charts/chart")
	if len(charts) != 3+1 { // that of the losses, too
		t.Fatalf("%d charts", len(charts))
	}
	chart := charts["xl/charts/chart1.xml"]
	for _, want := range []string{"barChart", "chrf", "&#39;Score distribution&#39;!$A$5:$A$12", "&#39;Score distribution&#39;!$C$5:$C$12"} {
		if !strings.Contains(chart, want) {
			t.Errorf("chart without %q: %s", want, chart)
		}
	}
}

// parts reads the files of a workbook whose names start with prefix.
func parts(t *testing.T, workbook []byte, prefix string) map[string]string {
	t.Helper()
	archive, err := zip.NewReader(bytes.NewReader(workbook), int64(len(workbook)))
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, file := range archive.File {
		if !strings.HasPrefix(file.Name, prefix) {
			continue
		}
		r, err := file.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		found[file.Name] = string(text)
	}
	return found
}

func TestWorkbookErrors(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, workbookOf(t, reporttest.Run(), reporttest.Scores, maxRows))
	all := cells(t, f, sheetErrors)
	if want := [][]string{
		{"Kind", "Rows"}, {"failed", "1"}, {"empty answer", "1"}, {"no score", "0"}, {"key fact missing", "2"}, {"worse than base model", "1"}, {"lowest scores", "3"},
	}; !slices.EqualFunc(all[3:10], want, slices.Equal) {
		t.Errorf("counts %q", all[3:10])
	}
	for _, want := range [][]string{
		{"failed", "3", "Why?", "Because", "", "", "", "", "", "model: out of memory"},
		{"empty answer", "1", "Who?", "Ada Lovelace", "  ", "Bob", "Ada", "0"},
		{"key fact missing", "4", "How?", "Fast", "slow", "", "Fast"},
		{"worse than base model", "1", "Who?", "Ada Lovelace", "  ", "Bob", "Ada", "0", "-0.125"},
	} {
		if len(find(all, want...)) != 1 {
			t.Errorf("no row %q in %q", want, all)
		}
	}
	var lowest []string
	for _, row := range find(all, "lowest scores")[1:] {
		lowest = append(lowest, row[1])
	}
	if !slices.Equal(lowest, []string{"1", "4", "0"}) {
		t.Errorf("lowest scores %q", lowest)
	}
}

func TestWorkbookLimits(t *testing.T) {
	t.Parallel()
	var lines strings.Builder
	for i := range 3000 {
		answer := "a"
		if i == 2 {
			answer = strings.Repeat("é𝄞", 12000) // more than a cell holds
		}
		fmt.Fprintf(&lines, `{"index":%d,"question":"q","answer":%q,"scores":{"m":%v}}`+"\n", i, answer, float64(i%1000)/1000)
	}
	f := openWorkbook(t, workbookOf(t, events.Run{ID: "r"}, lines.String(), 1500))
	samples := cells(t, f, sheetSamples)
	if len(samples) != 1501 || samples[1500][0] != "1499" {
		t.Errorf("%d rows, last %q", len(samples), samples[len(samples)-1][0])
	}
	if got := samples[3][3]; !strings.HasSuffix(got, "…") || utf16Length(got) > maxCell || utf16Length(got) < maxCell-2 {
		t.Errorf("a long answer has %d units", utf16Length(got))
	}
	all := cells(t, f, sheetStatistics)
	for _, want := range [][]string{
		{`The sheet "Sample scores" shows the first 1500 rows, more do not fit into a sheet; all figures count all 3000.`},
		{`Texts that are longer than a cell (32,767 characters) end in "…": 1. The rows of the artifact "scores" have them whole.`},
		{`Rows in "Sample scores" that show only the beginning of a text: 1. The cell has all of it.`},
		{"m", "Model", "3000"},
	} {
		if len(find(all, want...)) != 1 {
			t.Errorf("no row %q in %q", want, all)
		}
	}
	if found := find(cells(t, f, sheetErrors), "lowest scores"); len(found) != 1+maxFindings || found[0][1] != "3000" || found[0][2] != "100 of them are shown" || found[1][1] != "0" || found[2][1] != "1000" || found[3][1] != "2000" || found[4][1] != "1" {
		t.Errorf("%d lowest: %.600q", len(found), found)
	}
}

func utf16Length(s string) int {
	n := 0
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}

func TestWorkbookOfNothing(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, workbookOf(t, events.Run{ID: "r"}, "", maxRows))
	if all := cells(t, f, sheetStatistics); len(find(all, "Rows", "0")) != 1 {
		t.Errorf("statistics %q", all)
	}
	if all := cells(t, f, sheetDistribution); len(find(all, "No row has a score.")) != 1 {
		t.Errorf("distribution %q", all)
	}
}
