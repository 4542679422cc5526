package workbook

import (
	"fmt"

	"github.com/xuri/excelize/v2"
)

// sheet writes a small sheet from top to bottom and keeps its first error.
type sheet struct {
	file   *excelize.File
	styles styles
	name   string
	row    int // the last row that was written
	err    error
}

func (b *workbook) sheet(name string) *sheet {
	return &sheet{file: b.file, styles: b.styles, name: name}
}

// line writes one row. nil leaves a cell empty; floats are scores.
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
		cellStyle := style
		switch v := v.(type) {
		case string:
			s.err = s.file.SetCellStr(s.name, cell, cellText(v))
		case float64:
			s.err = s.file.SetCellValue(s.name, cell, v)
			if cellStyle == 0 {
				cellStyle = s.styles.score
			}
		default:
			s.err = s.file.SetCellValue(s.name, cell, v)
		}
		if s.err == nil && cellStyle != 0 {
			s.err = s.file.SetCellStyle(s.name, cell, cell, cellStyle)
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

// done returns the first error, with the name of the sheet.
func (s *sheet) done() error {
	if s.err != nil {
		return fmt.Errorf("sheet %q: %w", s.name, s.err)
	}
	return nil
}
