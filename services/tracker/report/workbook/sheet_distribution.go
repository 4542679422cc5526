package workbook

import (
	"fmt"
	"strconv"

	"github.com/xuri/excelize/v2"

	"github.com/tunebus/tunebus/services/tracker/report/scores"
)

// chartRows is how many rows a chart covers, with some space below.
const chartRows = 17

// chartsPerPage is how many of them fit on a page of paper.
const chartsPerPage = 2

// writeDistribution writes the histogram of each metric, as a table with a
// chart beside it.
func (b *workbook) writeDistribution() error {
	s := b.sheet(sheetDistribution)
	s.widths(22, 14, 14)
	s.line(s.styles.title, "Score distribution")
	s.line(s.styles.note, "Rows by score; a score on the edge of two ranges counts in the upper one.")
	shown := 0
	for _, m := range b.summary.Metrics {
		if len(m.Histogram.Counts) == 0 || m.SameAs != "" {
			continue // no row has a score of it, or it stands here already
		}
		if shown > 0 && shown%chartsPerPage == 0 && s.err == nil {
			s.err = s.file.InsertPageBreak(s.name, fmt.Sprintf("A%d", s.row+1))
		}
		shown++
		s.row++
		first := s.row + 1
		s.histogram(m, b.model)
		s.chart(m, first)
		s.row = max(s.row, first+chartRows)
		s.page.printedColumns = 14 // the chart ends there
	}
	if shown == 0 {
		s.line(0, "No row has a score.")
	}
	return s.done()
}

func (s *sheet) histogram(m scores.Metric, model string) {
	header := []any{m.Name, overNumber(model)}
	if m.Histogram.Baseline != nil {
		header = append(header, overNumber(baseModel))
	}
	s.header(header...)
	for i, count := range m.Histogram.Counts {
		line := []any{edge(m.Histogram.Edges[i]) + " to " + edge(m.Histogram.Edges[i+1]), count}
		if m.Histogram.Baseline != nil {
			line = append(line, m.Histogram.Baseline[i])
		}
		s.line(0, line...)
	}
}

func edge(v float64) string { return strconv.FormatFloat(v, 'g', 6, 64) }

// chart adds a chart of the table whose header is in row first.
func (s *sheet) chart(m scores.Metric, first int) {
	if s.err != nil {
		return
	}
	at := func(column string, from, to int) string {
		return fmt.Sprintf("'%s'!$%s$%d:$%s$%d", s.name, column, from, column, to)
	}
	series := func(column, colour string) excelize.ChartSeries {
		return excelize.ChartSeries{
			Name:       fmt.Sprintf("'%s'!$%s$%d", s.name, column, first),
			Categories: at("A", first+1, s.row),
			Values:     at(column, first+1, s.row),
			Fill:       excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{colour}},
		}
	}
	all := []excelize.ChartSeries{series("B", "2F6DB5")}
	if m.Histogram.Baseline != nil {
		all = append(all, series("C", "B8B8B8"))
	}
	gap := uint(40)
	s.err = s.file.AddChart(s.name, fmt.Sprintf("E%d", first), &excelize.Chart{
		Type: excelize.Col, Series: all, GapWidth: &gap,
		Title:     excelize.ChartTitle{Paragraph: []excelize.RichTextRun{{Text: shorten(cellText(m.Name), 120)}}},
		Legend:    excelize.ChartLegend{Position: "bottom"},
		Dimension: excelize.ChartDimension{Width: 640, Height: 20 * (chartRows - 1)},
		YAxis:     excelize.ChartAxis{MajorGridLines: true, Title: excelize.ChartTitle{Paragraph: []excelize.RichTextRun{{Text: "rows"}}}},
	})
}
