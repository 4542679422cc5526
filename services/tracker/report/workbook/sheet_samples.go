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
		header[i] = excelize.Cell{StyleID: b.styles.header, Value: cellText(c.title)}
	}
	if err := out.SetRow("A1", header); err != nil {
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
		for i, c := range columns {
			cells[i] = c.cell(row)
		}
		if err := out.SetRow(fmt.Sprintf("A%d", n+1), cells); err != nil {
			return err
		}
	}
	return out.Flush()
}

// column is one column of the samples.
type column struct {
	title string
	width float64
	score bool
	cell  func(scores.Row) any // nil: empty
}

func (b *workbook) sampleColumns() []column {
	text := func(title string, width float64, of func(scores.Row) string) column {
		return column{title: title, width: width, cell: func(r scores.Row) any {
			if s := of(r); s != "" {
				return cellText(s)
			}
			return nil
		}}
	}
	columns := []column{
		{title: "#", width: 8, cell: func(r scores.Row) any { return r.Index }},
		text("Question", 44, func(r scores.Row) string { return r.Question }),
		text("Ground truth", 44, groundTruth),
		text("Answer", 44, func(r scores.Row) string { return r.Answer }),
	}
	if b.summary.HasBaseline() {
		columns = append(columns, text("Answer of base model", 44, func(r scores.Row) string { return r.BaselineAnswer }))
	}
	if b.summary.WithKeyFact > 0 {
		columns = append(columns, text("Key fact", 20, func(r scores.Row) string { return r.KeyFact }))
	}
	score := func(title string, name string, of func(scores.Row) scores.Scores) column {
		return column{title: title, width: max(12, float64(len(title))+4), score: true, cell: func(r scores.Row) any {
			if v, ok := of(r)[name]; ok {
				return excelize.Cell{StyleID: b.styles.score, Value: v}
			}
			return nil
		}}
	}
	for _, m := range b.summary.Metrics {
		columns = append(columns, score(m.Name, m.Name, func(r scores.Row) scores.Scores { return r.Scores }))
		if m.Baseline != nil {
			columns = append(columns, score(m.Name+" (base model)", m.Name, func(r scores.Row) scores.Scores { return r.BaselineScores }))
		}
	}
	if b.summary.Unscored > 0 {
		columns = append(columns, text("No score", 44, scores.Row.WhyUnscored))
	}
	return append(columns, text("Error", 44, func(r scores.Row) string { return r.Error }))
}

// groundTruth is the right answer, or all of them, each on a line of its own.
func groundTruth(r scores.Row) string {
	if len(r.References) > 0 {
		return strings.Join(r.References, "\n")
	}
	return r.GroundTruth
}

// formatSamples freezes the header, adds filters, and colours scores.
func (b *workbook) formatSamples(columns []column) error {
	last, err := excelize.CoordinatesToCellName(len(columns), b.shown+1)
	if err != nil {
		return err
	}
	if err := b.file.AutoFilter(sheetSamples, "A1:"+last, nil); err != nil {
		return err
	}
	err = b.file.SetPanes(sheetSamples, &excelize.Panes{
		Freeze: true, XSplit: 2, YSplit: 1, TopLeftCell: "C2", ActivePane: "bottomRight",
	})
	if err != nil || b.shown == 0 {
		return err
	}
	for i, c := range columns {
		if !c.score {
			continue
		}
		name, err := excelize.ColumnNumberToName(i + 1)
		if err != nil {
			return err
		}
		err = b.file.SetConditionalFormat(sheetSamples, fmt.Sprintf("%s2:%s%d", name, name, b.shown+1), []excelize.ConditionalFormatOptions{{
			Type: "3_color_scale", Criteria: "=",
			MinType: "min", MidType: "percentile", MaxType: "max", MidValue: "50",
			MinColor: "#F8A5A0", MidColor: "#FFF0B3", MaxColor: "#A9D8A5",
		}})
		if err != nil {
			return err
		}
	}
	return nil
}
