package dataset

import (
	"errors"
	"fmt"
	"strings"

	"github.com/xuri/excelize/v2"
)

// readXLSX reads the first sheet of a workbook. Rows without any text are left
// out: spreadsheets tend to end with some.
func readXLSX(path string, want []string, visit visitor) (_ []string, err error) {
	book, err := excelize.OpenFile(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, book.Close()) }()
	rows, err := book.Rows(book.GetSheetName(0))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var (
		have   []string
		from   []int
		values = make([]value, len(want))
		line   = 0
	)
	for rows.Next() {
		line++
		cells, err := rows.Columns()
		if err != nil {
			return nil, &RowError{File: path, Line: line, Err: err}
		}
		switch {
		case strings.Join(cells, "") == "":
			continue
		case have == nil:
			if err := checkHeader(cells); err != nil {
				return nil, &RowError{File: path, Line: line, Err: err}
			}
			have, from = cells, positions(cells, want)
			continue
		}
		for i, p := range from {
			values[i] = value{}
			// A row ends with its last cell that has text.
			if p >= 0 && p < len(cells) && cells[p] != "" {
				values[i] = value{text: cells[p], present: true}
			}
		}
		if err := visit(line, values); err != nil {
			return nil, err
		}
	}
	if err := rows.Error(); err != nil {
		return nil, &RowError{File: path, Line: line + 1, Err: err}
	}
	return have, nil
}
