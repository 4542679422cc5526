package dataset

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/parquet-go/parquet-go"
)

// readParquet reads only the pages of the wanted columns, in parallel positions.
func readParquet(path string, want []string, visit visitor) (_ []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	p, err := openParquet(f, info.Size())
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	var have []string
	for _, c := range p.Root().Columns() {
		have = append(have, c.Name())
	}
	columns := make([]*columnReader, len(want))
	defer func() {
		for _, c := range columns {
			if c != nil {
				err = errors.Join(err, c.close())
			}
		}
	}()
	for i, name := range want {
		if name == "" || !slices.Contains(have, name) {
			continue
		}
		column := p.Root().Column(name)
		if !column.Leaf() || column.Repeated() {
			return nil, fmt.Errorf("read %s: column %q holds lists or structures, not text", path, name)
		}
		columns[i] = &columnReader{pages: column.Pages()}
	}
	values := make([]cell, len(want))
	for row := 1; row <= int(p.NumRows()); row++ {
		for i, c := range columns {
			if c == nil {
				continue
			}
			if values[i], err = c.next(); err != nil {
				return nil, &RowError{File: path, Line: row, Err: fmt.Errorf("column %q: %w", want[i], err)}
			}
		}
		if err := visit(row, values); err != nil {
			return nil, err
		}
	}
	return have, nil
}

func openParquet(f io.ReaderAt, size int64) (p *parquet.File, err error) {
	defer panicToError(&err)()
	return parquet.OpenFile(f, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
}

// columnReader reads the values of a flat column one by one.
type columnReader struct {
	pages  parquet.Pages
	page   parquet.Page
	reader parquet.ValueReader
	buffer [128]parquet.Value
	ready  []parquet.Value
}

func (c *columnReader) next() (cell, error) {
	for len(c.ready) == 0 {
		if err := c.fill(); err != nil {
			if errors.Is(err, io.EOF) {
				err = errors.New("the column ends before the file's last row")
			}
			return cell{}, err
		}
	}
	v := c.ready[0]
	c.ready = c.ready[1:]
	if v.IsNull() {
		return cell{}, nil
	}
	return cell{text: v.String(), present: true}, nil
}

func (c *columnReader) fill() (err error) {
	defer panicToError(&err)()
	if c.page == nil {
		page, err := c.pages.ReadPage()
		if err != nil {
			return err
		}
		c.page, c.reader = page, page.Values()
	}
	n, err := c.reader.ReadValues(c.buffer[:])
	c.ready = c.buffer[:n]
	if errors.Is(err, io.EOF) && n == 0 {
		// The values point into their page, so it can not be released earlier.
		parquet.Release(c.page)
		c.page, err = nil, nil
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return err
}

func (c *columnReader) close() (err error) {
	defer panicToError(&err)()
	if c.page != nil {
		parquet.Release(c.page)
	}
	return c.pages.Close()
}
