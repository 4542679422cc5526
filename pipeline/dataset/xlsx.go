package dataset

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/xuri/excelize/v2"
)

// readXLSX reads the first sheet of a workbook. It omits rows without any text,
// because many sheets end with some.
func readXLSX(path string, want []string, visit visitor) (_ []string, err error) {
	book, rows, err := openXLSX(path)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, book.Close()) }()
	defer func() { err = errors.Join(err, rows.Close()) }()
	var (
		have    []string
		columns []int
		values  = make([]cell, len(want))
		line    = 0
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
			have, columns = cells, columnIndexes(cells, want)
			continue
		}
		for i, p := range columns {
			values[i] = cell{}
			// A row ends with its last cell that is not empty.
			if p >= 0 && p < len(cells) && cells[p] != "" {
				values[i] = cell{text: cells[p], present: true}
			}
		}
		if err := visit(line, values); err != nil {
			return nil, err
		}
	}
}

const (
	// maxDeflateRatio is the largest compression ratio of deflate. Source: zlib,
	// technical details, "Maximum Compression Factor", 1032:1.
	maxDeflateRatio = 1032
	// maxUnzipped limits the uncompressed size of a workbook in bytes. The
	// library unpacks sheets above 16 MiB into a temporary file.
	maxUnzipped = 8 << 30
)

func openXLSX(path string) (book *excelize.File, rows *excelize.Rows, err error) {
	defer panicToError(&err)()
	info, err := os.Stat(path)
	if err != nil {
		return nil, nil, err
	}
	// The library allocates as much memory as the file declares, so the limit
	// must be close to the size that the file can have.
	limit := min(info.Size()*maxDeflateRatio, maxUnzipped)
	if book, err = excelize.OpenFile(path, excelize.Options{UnzipSizeLimit: max(limit, 1)}); err != nil {
		return nil, nil, err
	}
	if rows, err = book.Rows(book.GetSheetName(0)); err != nil {
		return nil, nil, errors.Join(err, book.Close())
	}
	return book, rows, nil
}

func nextXLSX(rows *excelize.Rows) (cells []string, more bool, err error) {
	defer panicToError(&err)()
	if !rows.Next() {
		return nil, false, rows.Error()
	}
	cells, err = rows.Columns()
	return cells, true, err
}
