package workbook

import (
	"context"
	"fmt"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/tunebus/tunebus/services/tracker/report/scores"
)

// writeSamples streams the rows into their sheet, and passes every row, also
// those beyond the limit, to the error analysis.
func (b *workbook) writeSamples(ctx context.Context, open scores.Opener, found *findings) error {
	columns := b.sampleColumns()
	// This comes first: once rows are streamed, excelize takes nothing else for
	// the sheet.
	if err := b.formatSamples(columns); err != nil {
		return fmt.Errorf("sheet %q: %w", sheetSamples, err)
	}
	out, err := b.file.NewStreamWriter(sheetSamples)
	if err != nil {
		return fmt.Errorf("sheet %q: %w", sheetSamples, err)
	}
	if err := b.streamSamples(ctx, open, found, columns, out); err != nil {
		return fmt.Errorf("sheet %q: %w", sheetSamples, err)
	}
	return nil
}

func (b *workbook) streamSamples(
	ctx context.Context, open scores.Opener, found *findings, columns []column, out *excelize.StreamWriter,
) error {
	for i, c := range columns {
		if err := out.SetColWidth(i+1, i+1, c.width); err != nil {
			return err
		}
	}
	header := make([]any, len(columns))
	for i, c := range columns {
		style := b.styles.header
		if c.number {
			style = b.styles.headerNumber
		}
		header[i] = excelize.Cell{StyleID: style, Value: cellText(c.title)}
	}
	if err := out.SetRow("A1", header, excelize.RowOpts{Height: 2 * lineHeight}); err != nil {
		return err
	}
	n := 0
	cells := make([]any, len(columns))
	for row, err := range scores.Read(ctx, open) {
		if err != nil {
			return err
		}
		found.collect(row, b.summary)
		if n == b.shown {
			continue
		}
		n++
		lines := 1
		for i, c := range columns {
			if c.text == nil {
				cells[i] = c.value(row)
				continue
			}
			s := c.text(row)
			cells[i] = b.textCell(s)
			lines = max(lines, linesOf(s, c.width))
		}
		if lines > maxLines {
			lines = maxLines
			b.tall++
		}
		var height excelize.RowOpts // Excel decides, if it is one line
		if lines > 1 {
			height.Height = float64(lines * lineHeight)
		}
		if err := out.SetRow(fmt.Sprintf("A%d", n+1), cells, height); err != nil {
			return err
		}
	}
	return out.Flush()
}

// textCell is the cell of a text; nil if it is empty.
func (b *workbook) textCell(s string) any {
	if s == "" {
		return nil
	}
	if isCut(s) {
		b.cut++
	}
	s = cellText(s)
	return excelize.Cell{StyleID: b.styles.ofText(s), Value: s}
}

// column is one column of the samples: of texts, or of numbers.
type column struct {
	title  string
	width  float64
	number bool
	text   func(scores.Row) string
	value  func(scores.Row) any // nil: empty
	scale  *scale               // of scores
}

func (b *workbook) sampleColumns() []column {
	text := func(title string, width float64, of func(scores.Row) string) column {
		return column{title: title, width: width, text: of}
	}
	columns := []column{
		{title: "#", width: 8, number: true, value: func(r scores.Row) any { return excelize.Cell{StyleID: b.styles.number, Value: r.Index} }},
		text("Question", 36, func(r scores.Row) string { return r.Question }),
		text("Ground truth", 36, groundTruth),
		text("Answer", 40, func(r scores.Row) string { return r.Answer }),
	}
	if b.summary.HasBaseline() {
		columns = append(columns, text("Answer of base model", 40, func(r scores.Row) string { return r.BaselineAnswer }))
	}
	if b.summary.WithKeyFact > 0 {
		columns = append(columns, text("Key fact", 16, func(r scores.Row) string { return r.KeyFact }))
	}
	columns = append(columns, b.scoreColumns()...)
	if b.summary.Unscored > 0 {
		columns = append(columns, text("No score", 44, scores.Row.WhyUnscored))
	}
	if b.summary.Failed > 0 {
		columns = append(columns, text("Error", 44, func(r scores.Row) string { return r.Error }))
	}
	return columns
}

// scoreColumns are the columns of the scores, those of the base model beside
// them.
func (b *workbook) scoreColumns() (columns []column) {
	scales := scalesOf(b.summary.Metrics)
	add := func(title string, m scores.Metric, of func(scores.Row) scores.Scores) {
		columns = append(columns, column{
			title: title, width: max(10, float64(len(m.Name))+2), number: true, scale: scales.of(m),
			value: func(r scores.Row) any {
				if v, ok := of(r)[m.Name]; ok {
					return excelize.Cell{StyleID: b.styles.score, Value: v}
				}
				return nil
			},
		})
	}
	for _, m := range b.summary.Metrics {
		if m.SameAs != "" {
			continue
		}
		add(m.Name, m, func(r scores.Row) scores.Scores { return r.Scores })
		if m.Baseline != nil {
			add(m.Name+" (base model)", m, func(r scores.Row) scores.Scores { return r.BaselineScores })
		}
	}
	return columns
}

// groundTruth is the right answer, or all of them, each on a line of its own.
func groundTruth(r scores.Row) string {
	if len(r.References) > 0 {
		return strings.Join(r.References, "\n")
	}
	return r.GroundTruth
}

// formatSamples sets the page, freezes the header, adds filters, and colours
// scores.
func (b *workbook) formatSamples(columns []column) error {
	last, err := excelize.CoordinatesToCellName(len(columns), b.shown+1)
	if err != nil {
		return err
	}
	if err := b.file.AutoFilter(sheetSamples, "A1:"+last, nil); err != nil {
		return err
	}
	// A filter sets properties of the sheet anew, so the page comes behind it.
	if err := setPage(b.file, sheetSamples, page{columns: len(columns), rows: b.shown + 1, head: 1}); err != nil {
		return err
	}
	err = b.file.SetPanes(sheetSamples, &excelize.Panes{
		Freeze: true, XSplit: 2, YSplit: 1, TopLeftCell: "C2", ActivePane: "bottomRight",
	})
	if err != nil || b.shown == 0 {
		return err
	}
	for i, c := range columns {
		if c.scale == nil {
			continue
		}
		name, err := excelize.ColumnNumberToName(i + 1)
		if err != nil {
			return err
		}
		if err := c.scale.colour(b.file, sheetSamples, fmt.Sprintf("%s2:%s%d", name, name, b.shown+1)); err != nil {
			return err
		}
	}
	return nil
}
