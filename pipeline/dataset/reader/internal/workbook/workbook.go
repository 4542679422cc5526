// Package workbook reads the first sheet of an XLSX file, row by row, with the types
// of its cells.
//
// excelize, which writes our workbooks, reads a cell as the text that its number
// format shows, such as 03-05-24 for a date, or as the bare number behind it. Which
// of both is meant it tells only of sheets that are in memory as a whole. Here a
// date is 2024-03-05, and a number has all its digits, as in the other formats.
package workbook

import (
	"archive/zip"
	"context"
	"errors"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/nameset"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
	"github.com/tunebus/tunebus/pipeline/progress"
)

const (
	// A workbook may unpack to minUnpacked bytes, or to maxRatio times its size,
	// whichever is more.
	minUnpacked = 1 << 30
	maxRatio    = 200
	// maxToken limits a cell and a tag, maxStrings the texts that cells share,
	// which are in memory.
	maxToken   = 16 << 20
	maxStrings = 512 << 20
	// maxColumn is the last column that the format has. Source: Excel
	// specifications and limits.
	maxColumn = 16384
)

// Sheet reads the rows of a sheet.
type Sheet struct {
	file    *os.File
	part    io.Closer
	cells   *cellReader
	strings []string
	styles  styles
	header  map[int]string // by column
	names   []string
	order   []int // the columns that are wanted, in order
	others  []string
}

// Open opens the first sheet of a workbook. The first row that is not empty has the
// names of the columns. ctx ends the reading; the bytes of the file count as
// progress of its job.
func Open(ctx context.Context, name string) (_ *Sheet, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	s := &Sheet{file: f}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	start := make([]byte, 4)
	if _, err := f.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if string(start) == "\xd0\xcf\x11\xe0" { // a compound file of OLE
		return nil, fault.At(0, "it is a workbook with a password, or of Excel 97; save it without a password as .xlsx")
	}
	z, err := zip.NewReader(contextReaderAt{ctx, f}, info.Size())
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, fault.At(0, "it is damaged, not whole, or no workbook: %w", err)
	}
	if err := s.open(&archive{z: z, left: max(minUnpacked, maxRatio*info.Size())}); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		if errors.As(err, new(*fault.Error)) {
			return nil, err
		}
		return nil, fault.At(0, "the workbook is damaged: %w", err)
	}
	return s, nil
}

// open reads all but the rows of the sheet, and the header.
func (s *Sheet) open(a *archive) error {
	book, err := a.findSheet()
	if err != nil {
		return err
	}
	if s.strings, err = a.sharedStrings(book.folder); err != nil {
		return err
	}
	if s.styles, err = a.styles(book.folder); err != nil {
		return err
	}
	s.styles.from1904, s.others = book.from1904, book.others
	part, err := a.open(book.sheet)
	if err != nil {
		return err
	}
	s.part, s.cells = part, newCellReader(part)
	return s.readHeader()
}

// Others are the names of the sheets that are not read.
func (s *Sheet) Others() []string { return s.others }

func (s *Sheet) readHeader() error {
	s.header = map[int]string{}
	row, cells, err := s.row()
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return err
	}
	seen := nameset.Set{}
	for _, c := range cells {
		v, err := s.value(c)
		if err != nil {
			return &fault.Error{Line: row, Err: err}
		}
		name, err := v.Text()
		if err != nil || name == "" {
			continue // a column without a name
		}
		if !seen.Add(name) {
			return fault.At(row, "the column %q occurs twice in the header", name)
		}
		s.header[c.column] = name
		s.names = append(s.names, name)
	}
	if s.names == nil {
		return fault.At(row, "the header has no names of columns")
	}
	s.Select(s.names)
	return nil
}

// Columns are the names of the columns.
func (s *Sheet) Columns() []string { return s.names }

// Select limits the fields of the rows.
func (s *Sheet) Select(names []string) {
	s.order = nil
	wanted := nameset.Of(names)
	for column, name := range s.header {
		if wanted[name] {
			s.order = append(s.order, column)
		}
	}
	slices.Sort(s.order)
}

// Next returns the number of the next row that is not empty, as the spreadsheet
// shows it, and its fields.
func (s *Sheet) Next() (row int, fields []value.Field, err error) {
	row, cells, err := s.row()
	if err != nil {
		return 0, nil, err
	}
	fields = make([]value.Field, len(s.order))
	for i, column := range s.order {
		fields[i].Name = s.header[column]
	}
	for _, c := range cells {
		i, wanted := slices.BinarySearch(s.order, c.column)
		if !wanted {
			continue
		}
		if fields[i].Value, err = s.value(c); err != nil {
			return 0, nil, &fault.Error{Line: row, Column: fields[i].Name, Err: err}
		}
	}
	return row, fields, nil
}

// row returns the next row with a cell that is not empty. Many sheets end with
// rows that only have a format.
func (s *Sheet) row() (int, []cell, error) {
	for {
		row, cells, err := s.cells.next()
		if err != nil {
			return 0, nil, err
		}
		if slices.ContainsFunc(cells, func(c cell) bool { return !s.isEmpty(c) }) {
			return row, cells, nil
		}
	}
}

// Close closes the file.
func (s *Sheet) Close() error {
	if s.part != nil {
		// Its error is that of its last Read.
		_ = s.part.Close()
	}
	return s.file.Close()
}

// archive has the parts of a workbook.
type archive struct {
	z    *zip.Reader
	left int64 // bytes that the parts may still unpack to
}

// open opens a part.
func (a *archive) open(name string) (io.ReadCloser, error) {
	name = strings.TrimPrefix(name, "/")
	for _, f := range a.z.File {
		if !strings.EqualFold(f.Name, name) {
			continue
		}
		r, err := f.Open()
		if err != nil {
			return nil, err
		}
		return &part{ReadCloser: r, archive: a}, nil
	}
	return nil, &missingPartError{name}
}

// missingPartError means that an archive does not have a part.
type missingPartError struct{ name string }

// Error implements error.
func (e *missingPartError) Error() string { return "it has no part " + e.name }

// part is an open part.
type part struct {
	io.ReadCloser
	archive *archive
}

func (p *part) Read(b []byte) (int, error) {
	n, err := p.ReadCloser.Read(b)
	if p.archive.left -= int64(n); p.archive.left < 0 {
		return 0, fault.At(0, "the workbook unpacks to more than %d times its size", maxRatio)
	}
	return n, err
}

// sibling is the part to which a reference from a folder points.
func sibling(folder, target string) string {
	if strings.HasPrefix(target, "/") {
		return target[1:]
	}
	return path.Join(folder, target)
}

// contextReaderAt ends with its context, and counts what is read as progress.
type contextReaderAt struct {
	ctx context.Context
	r   io.ReaderAt
}

func (c contextReaderAt) ReadAt(b []byte, offset int64) (int, error) {
	if err := context.Cause(c.ctx); err != nil {
		return 0, err
	}
	n, err := c.r.ReadAt(b, offset)
	progress.Advance(c.ctx, int64(n))
	return n, err
}
