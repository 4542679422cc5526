package report

import (
	"archive/zip"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/xuri/excelize/v2"

	"github.com/tunebus/tunebus/events"
)

// The sheets of the workbook, in their order.
const (
	sheetStatistics   = "Summary statistics"
	sheetSamples      = "Sample scores"
	sheetDistribution = "Score distribution"
	sheetErrors       = "Error analysis"
)

// workbook is a workbook while it is written.
type workbook struct {
	file    *excelize.File
	summary Summary
	run     events.Run
	styles  styles
	shown   int // rows in the sheet of samples
}

// styles are the few looks that cells have.
type styles struct {
	title, header, note, score int
}

func writeWorkbook(ctx context.Context, w io.Writer, r Report, summary Summary) (err error) {
	limit := r.SampleRows
	if limit < 1 || limit > MaxSampleRows {
		limit = MaxSampleRows
	}
	file := excelize.NewFile()
	defer func() { err = errors.Join(err, file.Close()) }()
	// By itself the library holds the whole file in memory before it writes it.
	file.ZipWriter = func(io.Writer) excelize.ZipWriter { return steadyZip{zip.NewWriter(w)} }

	b := &workbook{file: file, summary: summary, run: r.Run, shown: min(summary.Rows, limit)}
	found := newFindings()
	for _, write := range []func() error{
		b.prepare,
		b.writeStatistics,
		func() error { return b.writeSamples(ctx, r.Scores, found) },
		b.writeDistribution,
		func() error { return b.writeErrors(found) },
		func() error { return file.Write(io.Discard) }, // into w, see ZipWriter
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes the sheets and the styles.
func (b *workbook) prepare() error {
	if err := b.file.SetSheetName("Sheet1", sheetStatistics); err != nil {
		return err
	}
	for _, name := range []string{sheetSamples, sheetDistribution, sheetErrors} {
		if _, err := b.file.NewSheet(name); err != nil {
			return err
		}
	}
	scoreFormat := "0.0000"
	for _, s := range []struct {
		id    *int
		style excelize.Style
	}{
		{&b.styles.title, excelize.Style{Font: &excelize.Font{Bold: true, Size: 14}}},
		{&b.styles.header, excelize.Style{
			Font:      &excelize.Font{Bold: true},
			Fill:      excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"DDE6F0"}},
			Border:    []excelize.Border{{Type: "bottom", Color: "7F93AA", Style: 1}},
			Alignment: &excelize.Alignment{Vertical: "top"},
		}},
		{&b.styles.note, excelize.Style{Font: &excelize.Font{Italic: true, Color: "666666"}}},
		{&b.styles.score, excelize.Style{CustomNumFmt: &scoreFormat}},
	} {
		id, err := b.file.NewStyle(&s.style)
		if err != nil {
			return fmt.Errorf("style: %w", err)
		}
		*s.id = id
	}
	made := ""
	if done := evaluation(b.run); done != nil && !done.EndedAt.IsZero() {
		made = done.EndedAt.UTC().Format("2006-01-02T15:04:05Z")
	}
	return b.file.SetDocProps(&excelize.DocProperties{
		Title: cellText("Evaluation of " + b.name()), Creator: "tunebus", Created: made, Modified: made,
	})
}

// name is what people call the run.
func (b *workbook) name() string {
	if b.summary.RunName != "" {
		return b.summary.RunName
	}
	return b.summary.RunID
}

const baseModel = "Base model"

// model is what to call the model that answered.
func (b *workbook) model() string {
	tuned := b.run.Accepted != nil && b.run.Accepted.Inputs.Model != nil
	if p := b.run.Phases[events.Finetune]; p != nil {
		tuned = tuned || p.Status() == events.Status(events.Success)
	}
	if tuned {
		return "Tuned model"
	}
	return "Model"
}

// sheet writes a small sheet from the top down and keeps its first error.
type sheet struct {
	*workbook
	name string
	row  int // the last one that was written
	err  error
}

func (b *workbook) sheet(name string) *sheet { return &sheet{workbook: b, name: name} }

// line writes one row; nil leaves a cell empty, floats are scores.
func (s *sheet) line(style int, values ...any) {
	s.row++
	for i, v := range values {
		if s.err != nil || v == nil {
			continue
		}
		var cell string
		if cell, s.err = excelize.CoordinatesToCellName(i+1, s.row); s.err != nil {
			return
		}
		look := style
		switch v := v.(type) {
		case string:
			s.err = s.file.SetCellStr(s.name, cell, cellText(v))
		case float64:
			s.err = s.file.SetCellValue(s.name, cell, v)
			if look == 0 {
				look = s.styles.score
			}
		default:
			s.err = s.file.SetCellValue(s.name, cell, v)
		}
		if s.err == nil && look != 0 {
			s.err = s.file.SetCellStyle(s.name, cell, cell, look)
		}
	}
}

// widths sets the widths of the first columns, in characters.
func (s *sheet) widths(widths ...float64) {
	for i, width := range widths {
		if s.err != nil {
			return
		}
		var column string
		if column, s.err = excelize.ColumnNumberToName(i + 1); s.err == nil {
			s.err = s.file.SetColWidth(s.name, column, column, width)
		}
	}
}

// done names the sheet in its error.
func (s *sheet) done() error {
	if s.err != nil {
		return fmt.Errorf("sheet %q: %w", s.name, s.err)
	}
	return nil
}
