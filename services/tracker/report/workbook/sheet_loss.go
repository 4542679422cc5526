package workbook

import (
	"context"
	"fmt"

	"github.com/xuri/excelize/v2"

	"github.com/tunebus/tunebus/services/tracker/report/losscurve"
)

// writeLosses writes the losses of the fine-tuning, as tables with a chart beside
// them.
func (b *workbook) writeLosses(ctx context.Context, open losscurve.Opener) error {
	if open == nil {
		return nil
	}
	curve, unread := losscurve.Read(ctx, open)
	if err := ctx.Err(); err != nil {
		return err
	}
	s := b.sheet(sheetLoss)
	s.widths(10, 14, 4, 10, 16, 4)
	s.line(s.styles.title, "Loss curve")
	if unread != nil {
		s.line(s.styles.note, fmt.Sprintf("Not all losses could be read: %v", unread))
	}
	for _, of := range []struct {
		name   string
		series losscurve.Series
	}{{"training", curve.Training}, {"validation", curve.Validation}} {
		if n := len(of.series.Points); n < of.series.Total {
			s.line(s.styles.note, fmt.Sprintf("%d of %d values of the %s loss are shown, evenly apart; MLflow has all of them.", n, of.series.Total, of.name))
		}
	}
	if len(curve.Training.Points)+len(curve.Validation.Points) == 0 {
		s.line(0, "The fine-tuning reported no loss.")
		return s.done()
	}
	heads := []any{overNumber("Step"), overNumber("Training loss"), nil, overNumber("Step"), overNumber("Validation loss")}
	if len(curve.Validation.Points) == 0 {
		heads = heads[:2]
	}
	s.header(heads...)
	s.page.head = s.row
	at := func(points []losscurve.Point, i int) (step, loss any) {
		if i >= len(points) {
			return nil, nil
		}
		return points[i].Step, points[i].Loss
	}
	for i := range max(len(curve.Training.Points), len(curve.Validation.Points)) {
		step, loss := at(curve.Training.Points, i)
		validationStep, validation := at(curve.Validation.Points, i)
		s.line(0, step, loss, nil, validationStep, validation)
	}
	s.lossChart(len(curve.Training.Points), len(curve.Validation.Points))
	return s.done()
}

// lossChart adds the chart of the tables below the head.
func (s *sheet) lossChart(training, validation int) {
	if s.err != nil {
		return
	}
	var all []excelize.ChartSeries
	add := func(steps, losses, colour string, n int) {
		if n == 0 {
			return
		}
		at := func(column string, row, to int) string {
			return fmt.Sprintf("'%s'!$%s$%d:$%s$%d", s.name, column, row, column, to)
		}
		symbol := "none"
		if n < 30 {
			symbol = "circle" // one value alone makes no line
		}
		all = append(all, excelize.ChartSeries{
			Name:       fmt.Sprintf("'%s'!$%s$%d", s.name, losses, s.page.head),
			Categories: at(steps, s.page.head+1, s.page.head+n),
			Values:     at(losses, s.page.head+1, s.page.head+n),
			Line:       excelize.LineOptions{Type: excelize.LineSolid, Width: 1.5, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{colour}}},
			Marker:     excelize.ChartMarker{Symbol: symbol, Size: 5, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{colour}}},
		})
	}
	add("A", "B", "2F6DB5", training)
	add("D", "E", "D97706", validation)
	title := func(text string) excelize.ChartTitle {
		return excelize.ChartTitle{Paragraph: []excelize.RichTextRun{{Text: text}}}
	}
	s.err = s.file.AddChart(s.name, fmt.Sprintf("G%d", s.page.head), &excelize.Chart{
		Type: excelize.Scatter, Series: all,
		Title:     title("Loss"),
		Legend:    excelize.ChartLegend{Position: "bottom"},
		Dimension: excelize.ChartDimension{Width: 760, Height: 20 * 22},
		XAxis:     excelize.ChartAxis{Title: title("step")},
		YAxis:     excelize.ChartAxis{MajorGridLines: true, Title: title("loss")},
	})
	s.page.printedColumns, s.page.printedRows = 18, s.page.head+23
}
