package report

import (
	"fmt"

	"github.com/xuri/excelize/v2"
)

// writeErrors shows the rows that deserve a look, by the reason why.
func (b *workbook) writeErrors(found *findings) error {
	s := b.sheet(sheetErrors)
	s.widths(24, 8, 44, 44, 44, 44, 20, 12, 14, 44)
	s.line(s.styles.title, "Error analysis")
	s.line(s.styles.note, fmt.Sprintf("At most %d rows of each kind. A row's score is the mean over its metrics, each scaled to 0 to 1 by its range.", mostFindings))
	s.row++
	s.line(s.styles.header, "Kind", "Rows", "Shown")
	for _, k := range kinds() {
		s.line(0, string(k), found.total[k], len(found.shown[k]))
	}
	s.row++
	s.line(s.styles.header, "Kind", "#", "Question", "Ground truth", "Answer", "Answer of base model", "Key fact", "Score", "Against base", "Error")
	header := s.row
	for _, k := range kinds() {
		for _, at := range found.shown[k] {
			s.finding(k, at)
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

func (s *sheet) finding(k kind, at finding) {
	optional := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	r := at.row
	line := []any{
		string(k), r.Index, optional(r.Question), optional(r.GroundTruth), optional(r.Answer),
		optional(r.BaselineAnswer), optional(r.KeyFact), nil, nil, optional(r.Error),
	}
	if at.scored {
		line[7] = at.score
	}
	if k == kindWorse {
		line[8] = at.gain
	}
	s.line(0, line...)
}
