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
	s.line(s.styles.header, "Kind", "Rows", "Shown")
	for _, k := range kinds() {
		s.line(0, string(k), found.total[k], len(found.shown[k]))
	}
	s.row++
	s.line(s.styles.header, "Kind", "#", "Question", "Ground truth", "Answer", "Answer of base model",
		"Key fact", "Score", "Against base", "Error")
	header := s.row
	for _, k := range kinds() {
		for _, row := range found.shown[k] {
			s.finding(k, row)
		}
	}
	if s.err == nil && s.row > header {
		s.err = s.file.AutoFilter(s.name, fmt.Sprintf("A%d:J%d", header, s.row), nil)
	}
	if s.err == nil {
		s.err = s.file.SetPanes(s.name, &excelize.Panes{
			Freeze: true, YSplit: header, TopLeftCell: fmt.Sprintf("A%d", header+1), ActivePane: "bottomLeft",
		})
	}
	return s.done()
}

func (s *sheet) finding(k kind, f finding) {
	optional := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	r := f.row
	line := []any{
		string(k), r.Index, optional(r.Question), optional(r.GroundTruth), optional(r.Answer),
		optional(r.BaselineAnswer), optional(r.KeyFact), nil, nil, optional(r.Error),
	}
	if f.scored {
		line[7] = f.score
	}
	if k == kindWorse {
		line[8] = f.gain
	}
	s.line(0, line...)
}
