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
	page   page
	wide   []float64 // the widths of the columns that wrap texts
	err    error
}

func (b *workbook) sheet(name string) *sheet {
	return &sheet{file: b.file, styles: b.styles, name: name}
}

// What stands in a line beside texts and counts.
type (
	overNumber string  // a head over numbers
	gain       float64 // a difference of scores
	share      float64 // a part of a whole
	wrapped    string  // a text that takes several lines in its column
)

// line writes one row. nil leaves a cell empty; floats are scores.
func (s *sheet) line(style int, values ...any) {
	s.row++
	lines := 1
	for i, v := range values {
		if s.err != nil || v == nil {
			continue
		}
		var cell string
		if cell, s.err = excelize.CoordinatesToCellName(i+1, s.row); s.err != nil {
			return
		}
		s.page.columns, s.page.rows = max(s.page.columns, i+1), s.row
		own := s.write(cell, v)
		if style != 0 && own != s.styles.headerNumber {
			own = style
		}
		if s.err == nil {
			s.err = s.file.SetCellStyle(s.name, cell, cell, own)
		}
		if text, ok := v.(wrapped); ok && i < len(s.wide) {
			lines = max(lines, min(maxLines, linesOf(string(text), s.wide[i])))
		}
	}
	if lines > 1 && s.err == nil {
		s.err = s.file.SetRowHeight(s.name, s.row, float64(lines*lineHeight))
	}
}

// write writes a value and returns the style of its kind.
func (s *sheet) write(cell string, value any) (style int) {
	switch v := value.(type) {
	case overNumber:
		s.err = s.file.SetCellStr(s.name, cell, cellText(string(v)))
		return s.styles.headerNumber
	case wrapped:
		text := cellText(string(v))
		s.err = s.file.SetCellStr(s.name, cell, text)
		return s.styles.ofText(text)
	case string:
		text := cellText(v)
		s.err = s.file.SetCellStr(s.name, cell, text)
		if style := s.styles.ofText(text); style == s.styles.quoted {
			return style
		}
		return s.styles.label
	case float64:
		s.err = s.file.SetCellValue(s.name, cell, v)
		return s.styles.score
	case gain:
		s.err = s.file.SetCellValue(s.name, cell, float64(v))
		return s.styles.gain
	case share:
		s.err = s.file.SetCellValue(s.name, cell, float64(v))
		return s.styles.share
	default:
		s.err = s.file.SetCellValue(s.name, cell, v)
		return s.styles.count
	}
}

// header writes the head of a table.
func (s *sheet) header(values ...any) { s.line(s.styles.header, values...) }

// text is a text, or an empty cell.
func text(s string) any {
	if s == "" {
		return nil
	}
	return wrapped(s)
}

// widths sets the widths of the first columns, in characters.
func (s *sheet) widths(widths ...float64) {
	s.wide = widths
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

// done sets the page, and returns the first error with the name of the sheet.
func (s *sheet) done() error {
	if s.err == nil {
		s.page.printedRows = max(s.page.printedRows, s.row)
		s.err = setPage(s.file, s.name, s.page)
	}
	if s.err != nil {
		return fmt.Errorf("sheet %q: %w", s.name, s.err)
	}
	return nil
}
