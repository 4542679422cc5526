package workbook

import (
	"fmt"

	"github.com/xuri/excelize/v2"
)

// writeErrors writes the error analysis: the rows that people should look at,
// by the reason why.
func (b *workbook) writeErrors(found *findings) error {
	s := b.sheet(sheetErrors)
	s.widths(24, 8, 44, 44, 44, 44, 20, 12, 14, 44)
	s.line(s.styles.title, "Error analysis")
	s.line(s.styles.note, fmt.Sprintf("At most %d rows of each kind. "+
		"A row's score is the mean over its metrics, each scaled to 0 to 1 by its range.", maxFindings))
	s.row++
	s.header("Kind", overNumber("Rows"))
	for _, k := range kinds() {
		line := []any{string(k), found.total[k]}
		if n := len(found.shown[k]); n < found.total[k] {
			line = append(line, fmt.Sprintf("%d of them are shown", n))
		}
		s.line(0, line...)
	}
	s.row++
	s.header("Kind", overNumber("#"), "Question", "Ground truth", "Answer", "Answer of base model",
		"Key fact", overNumber("Score"), overNumber("Against base"), "Error")
	s.page.head = s.row
	for _, k := range kinds() {
		for _, row := range found.shown[k] {
			s.finding(k, row)
		}
	}
	if s.row == s.page.head {
		s.line(s.styles.note, "No row is of one of these kinds.")
	} else if s.err == nil {
		s.err = s.file.AutoFilter(s.name, fmt.Sprintf("A%d:J%d", s.page.head, s.row), nil)
	}
	if s.err == nil {
		s.err = s.file.SetPanes(s.name, &excelize.Panes{
			Freeze: true, YSplit: s.page.head, TopLeftCell: fmt.Sprintf("A%d", s.page.head+1), ActivePane: "bottomLeft",
		})
	}
	return s.done()
}

func (s *sheet) finding(k kind, f finding) {
	r := f.row
	line := []any{
		string(k), r.Index, text(r.Question), text(r.GroundTruth), text(r.Answer),
		text(r.BaselineAnswer), text(r.KeyFact), nil, nil, text(r.Error),
	}
	if f.scored {
		line[7] = f.score
	}
	if k == kindWorse {
		line[8] = gain(f.gain)
	}
	s.line(0, line...)
}
