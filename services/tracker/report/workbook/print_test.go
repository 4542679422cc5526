package workbook

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/tracker/report/reporttest"
)

// tooLong is a text that no cell holds.
var tooLong = strings.Repeat("a", maxCell+1)

// TestWorkbookPages: each sheet records its size, and is printed in landscape as
// wide as the paper, with its head on each page.
func TestWorkbookPages(t *testing.T) {
	t.Parallel()
	content := workbookOf(t, reporttest.Run(), reporttest.Scores, maxRows)
	f := openWorkbook(t, content)
	areas, heads := map[string]string{}, map[string]string{}
	for _, name := range f.GetDefinedName() {
		switch name.Name {
		case "_xlnm.Print_Area":
			areas[name.Scope] = name.RefersTo
		case "_xlnm.Print_Titles":
			heads[name.Scope] = name.RefersTo
		}
	}
	for i, sheet := range f.GetSheetList() {
		part := parts(t, content, fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1))[fmt.Sprintf("xl/worksheets/sheet%d.xml", i+1)]
		all := cells(t, f, sheet)
		columns := 0
		for _, row := range all {
			columns = max(columns, len(row))
		}
		last, err := excelize.CoordinatesToCellName(columns, len(all))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(part, fmt.Sprintf("<dimension ref=%q>", "A1:"+last)) {
			t.Errorf("%s: its dimension is not A1:%s in %.1200s", sheet, last, part)
		}
		for _, want := range []string{`fitToPage="true"`, `fitToWidth="1"`, `fitToHeight="0"`, `orientation="landscape"`, `paperSize="9"`, "<oddFooter>"} {
			if !strings.Contains(part, want) {
				t.Errorf("%s: no %s", sheet, want)
			}
		}
		if !strings.HasPrefix(areas[sheet], "'"+sheet+"'!$A$1:$") {
			t.Errorf("%s: print area %q", sheet, areas[sheet])
		}
	}
	for sheet, want := range map[string]string{sheetSamples: "$1:$1", sheetErrors: "$12:$12", sheetLoss: "$2:$2"} {
		if heads[sheet] != "'"+sheet+"'!"+want {
			t.Errorf("%s: repeats %q", sheet, heads[sheet])
		}
	}
}

var colourScale = regexp.MustCompile(`sqref="([A-Z]+)2:.*?<cfvo type="num" val="([^"]*)">.*?<cfvo type="num" val="([^"]*)">.*?<cfvo type="num" val="([^"]*)">`)

// TestWorkbookColours: equal scores have the same colour in every column.
func TestWorkbookColours(t *testing.T) {
	t.Parallel()
	content := workbookOf(t, reporttest.Run(), reporttest.Scores, maxRows)
	sheet := parts(t, content, "xl/worksheets/sheet2.xml")["xl/worksheets/sheet2.xml"]
	got := map[string]string{}
	for _, m := range colourScale.FindAllStringSubmatch(sheet, -1) {
		got[m[1]] = strings.Join(m[2:], " ")
	}
	const unit, percent = "0 0.5 1", "0 50 100"
	for column, want := range map[string]string{"G": percent, "H": percent, "I": unit, "J": unit, "K": unit} {
		if got[column] != want {
			t.Errorf("column %s is coloured over %q, want %q", column, got[column], want)
		}
	}
}

// TestWorkbookHasNoColumnTwice: a score that is another one by definition has no
// column, no statistics and no chart of its own.
func TestWorkbookHasNoColumnTwice(t *testing.T) {
	t.Parallel()
	const rows = `{"question":"a","answer":"b","scores":{"rouge_score":0.5,"rougeL":0.5,"rouge1":0.5,"exact_match":0.5}}
{"question":"a","answer":"b","scores":{"rouge_score":0.25,"rougeL":0.25,"rouge1":0.75,"exact_match":0.25}}`
	content := workbookOf(t, events.Run{ID: "r"}, rows, maxRows)
	f := openWorkbook(t, content)
	if head := cells(t, f, sheetSamples)[0]; !slices.Equal(head, []string{"#", "Question", "Ground truth", "Answer", "exact_match", "rouge1", "rouge_score"}) {
		t.Errorf("columns %q", head)
	}
	all := cells(t, f, sheetStatistics)
	if len(find(all, "rougeL")) != 0 || len(find(all, "In each row rougeL is equal to rouge_score, so it has no column of its own.")) != 1 {
		t.Errorf("statistics %q", all)
	}
	if n := len(parts(t, content, "xl/charts/chart")); n != 3 {
		t.Errorf("%d charts", n)
	}
}

// TestWorkbookAlignment: heads stand over their numbers, and scores have four
// decimals.
func TestWorkbookAlignment(t *testing.T) {
	t.Parallel()
	f := openWorkbook(t, workbookOf(t, reporttest.Run(), reporttest.Scores, maxRows))
	style := func(sheet, cell string) *excelize.Style {
		id, err := f.GetCellStyle(sheet, cell)
		if err != nil {
			t.Fatal(err)
		}
		s, err := f.GetStyle(id)
		if err != nil || s.Alignment == nil {
			t.Fatalf("%s!%s: %+v, %v", sheet, cell, s, err)
		}
		return s
	}
	for _, c := range [][2]string{{"A1", "A2"}, {"G1", "G2"}, {"H1", "H2"}} {
		if head, number := style(sheetSamples, c[0]), style(sheetSamples, c[1]); head.Alignment.Horizontal != "right" || number.Alignment.Horizontal != "right" {
			t.Errorf("%s is aligned %q over %q", c[0], head.Alignment.Horizontal, number.Alignment.Horizontal)
		}
	}
	if head, text := style(sheetSamples, "B1"), style(sheetSamples, "B3"); head.Alignment.Horizontal != "left" || !text.Alignment.WrapText {
		t.Errorf("a text: head %+v, cell %+v", head.Alignment, text.Alignment)
	}
	if s := style(sheetSamples, "G2"); s.CustomNumFmt == nil || *s.CustomNumFmt != "0.0000" {
		t.Errorf("a score has the format %v", s.CustomNumFmt)
	}
}

// TestWorkbookQuotesFormulas: a text that looks like a formula stays a text when a
// person edits its cell.
func TestWorkbookQuotesFormulas(t *testing.T) {
	t.Parallel()
	run := reporttest.Run()
	run.Accepted.Labels["team"] = "=cmd|'/c calc'!A1"
	f := openWorkbook(t, workbookOf(t, run, reporttest.Scores, maxRows))
	quoted := func(sheet, cell string) bool {
		id, err := f.GetCellStyle(sheet, cell)
		if err != nil {
			t.Fatal(err)
		}
		prefix := f.Styles.CellXfs.Xf[id].QuotePrefix
		return prefix != nil && *prefix
	}
	for cell, want := range map[string]bool{"B2": true, "C2": true, "D2": true, "E2": true, "B3": false} {
		if got := quoted(sheetSamples, cell); got != want {
			t.Errorf("%s: quoted %v", cell, got)
		}
	}
	for y, row := range cells(t, f, sheetRun) {
		if len(row) > 1 && row[0] == "Label team" && !quoted(sheetRun, fmt.Sprintf("B%d", y+1)) {
			t.Errorf("label %q is not quoted", row)
		}
	}
}

// TestWorkbookOfTheTraining: the losses, the model, the data and the
// hyper-parameters.
func TestWorkbookOfTheTraining(t *testing.T) {
	t.Parallel()
	run := reporttest.Run()
	a := run.Accepted
	a.Specification = spec.Defaults()
	a.Specification.FineTuner.BaseModelID, a.Specification.FineTuner.TrainingDataID, a.Specification.FineTuner.Epochs = "owner/base", "train.jsonl", 7
	a.Inputs.Files = map[string]events.Reference{"fine_tuner.training_data_id": {Store: "s", Key: "content/cd", SHA256: "cd"}}
	a.Inputs.Paths = map[string]string{"fine_tuner.training_data_id": "/home/me/train.jsonl"}
	done := run.Phases[events.Finetune].Completed
	done.Datasets = []events.Dataset{{Key: "fine_tuner.training_data_id", SHA256: "cd", Rows: 8, RowsRead: 10, Dropped: 2}}
	done.Notes = []string{"a note"}
	a.Inputs.Model = &events.Reference{Store: "s", Key: "m", MediaType: manifest.MediaType, Size: 611, SHA256: "ef"} // 611 bytes is the list of files
	content := workbookOf(t, run, reporttest.Scores, maxRows)
	f := openWorkbook(t, content)
	if got := cells(t, f, sheetLoss)[1:]; !slices.EqualFunc(got, [][]string{
		{"Step", "Training loss", "", "Step", "Validation loss"}, {"1", "2.5", "", "2", "1.75"}, {"2", "1.5"},
	}, slices.Equal) {
		t.Errorf("losses %q", got)
	}
	found := false
	for _, chart := range parts(t, content, "xl/charts/chart") {
		found = found || strings.Contains(chart, "scatterChart") && strings.Contains(chart, "&#39;Loss curve&#39;!$B$3:$B$4")
	}
	if !found {
		t.Error("no chart of the losses")
	}
	all := cells(t, f, sheetRun)
	for _, want := range [][]string{
		{"Run nightly"}, {"Label team", "a<b"}, {"Repeats the run", "01OLD"},
		{"Model of the request", "m", "", "", "", "", "", "", "ef"},
		{"fine_tuner.base_model_id", "owner/base"}, {"Tuned model", "k", "3", "", "", "", "", "", "ab"},
		{"fine_tuner.training_data_id", "/home/me/train.jsonl", "10", "8", "0", "2", "0", "0", "cd"},
		{"finetune", "success", "2", "90"}, {"finetune", "a note"},
		{"fine_tuner.epochs", "7", "3"}, {"fine_tuner.seed", "42"},
	} {
		if len(find(all, want...)) == 0 {
			t.Errorf("no row %q in %q", want, all)
		}
	}
}

func TestLinesOf(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text  string
		width float64
		want  int
	}{
		{"", 10, 1}, {"one", 10, 1}, {"12345678", 10, 1}, {"123456789", 10, 2}, {"a\nb\nc", 10, 3}, {"日本語日本", 10, 2}, {tooLong, 10, maxLines + 1},
	} {
		if got := linesOf(c.text, c.width); got != c.want {
			t.Errorf("%.20q in %v: %d lines, want %d", c.text, c.width, got, c.want)
		}
	}
	if isCut(strings.Repeat("é", maxCell)) || !isCut(tooLong) || !isCut(strings.Repeat("𝄞", maxCell/2+1)) {
		t.Error("isCut counts bytes")
	}
}
