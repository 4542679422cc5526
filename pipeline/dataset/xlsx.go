package dataset

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/xuri/excelize/v2"
)

// readXLSX reads the first sheet of a workbook. Rows without any text are left
// out: spreadsheets tend to end with some.
func readXLSX(path string, want []string, visit visitor) (_ []string, err error) {
	book, rows, err := openXLSX(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, book.Close()) }()
	defer func() { err = errors.Join(err, rows.Close()) }()
	var (
		have   []string
		from   []int
		values = make([]value, len(want))
		line   = 0
	)
	for {
		line++
		cells, more, err := nextXLSX(rows)
		if err != nil {
			return nil, &RowError{File: path, Line: line, Err: err}
		}
		if !more {
			return have, nil
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
}

const (
	// mostDeflated is the largest ratio that deflate reaches. Source: zlib,
	// technical details, "Maximum Compression Factor", 1032:1.
	mostDeflated = 1032
	// mostUnzipped bounds the content of a workbook, bytes. Sheets of more than
	// 16 MiB are unpacked into a temporary file, not into memory.
	mostUnzipped = 8 << 30
)

func openXLSX(path string) (book *excelize.File, rows *excelize.Rows, err error) {
	defer damaged(&err)()
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	// The library makes room for as much as the file says that it holds.
	most := min(info.Size()*mostDeflated, mostUnzipped)
	if book, err = excelize.OpenFile(path, excelize.Options{UnzipSizeLimit: max(most, 1)}); err != nil {
		return nil, nil, err
	}
	if rows, err = book.Rows(book.GetSheetName(0)); err != nil {
		return nil, nil, errors.Join(err, book.Close())
	}
	return book, rows, nil
}

func nextXLSX(rows *excelize.Rows) (cells []string, more bool, err error) {
	defer damaged(&err)()
	if !rows.Next() {
		return nil, false, rows.Error()
	}
	cells, err = rows.Columns()
	return cells, true, err
}
