package reader

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/columnar"
	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/textfile"
	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/workbook"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// Options say how to read a file. The zero value is right for most files.
type Options struct {
	// Name is the file as the person knows it, for errors. Empty means the path.
	Name string
	// Encoding is the character encoding of a text file by its WHATWG or IANA
	// name, such as "cp1252". Empty means UTF-8. A byte order mark at the start of
	// the file, of UTF-8 or UTF-16, is right whatever Encoding is.
	Encoding string
	// EncodingKey is the key of the specification that sets Encoding, for errors.
	// Empty means "data_encoding".
	EncodingKey string
	// Delimiter separates the cells of a CSV or TSV file, see [source.Delimiter]. 0
	// means that it is found in the first rows: a comma, semicolon, tab or "|".
	Delimiter byte
	// DelimiterKey is the key of the specification that sets Delimiter, for errors.
	// Empty means "data_delimiter".
	DelimiterKey string
}

// Record is one row of a file.
type Record struct {
	// Line counts from 1: the first line of the record in a text file, the row of
	// a sheet, where the header is one, or the record of a Parquet or Arrow file.
	Line int
	// Fields are in the order of the file. A cell without a value may be a missing
	// value or no field at all.
	Fields []value.Field
}

// Get returns the value of a column. The second result is false if the record does
// not have the column.
func (r Record) Get(name string) (value.Value, bool) {
	for _, f := range r.Fields {
		if f.Name == name {
			return f.Value, true
		}
	}
	return value.Value{}, false
}

// File is an open data file. It is for one goroutine.
type File struct {
	name    string
	format  Format
	records records
	failed  error
}

// records is what a format implements. Its errors have no file.
type records interface {
	// columns returns the columns that are known so far.
	columns() []string
	// selectColumns is called at most once, before next.
	selectColumns(names []string)
	// next returns io.EOF behind the last record.
	next() (Record, error)
	close() error
}

// Open opens a file. The extension of its name says the format. The error is
// [ErrUnknownFormat], an [*Error], or one of the file system or of ctx.
//
// ctx is for all reading from the file: if it is cancelled, Next returns its
// cause, after the records that were read ahead. The bytes read count as progress
// of its job.
func Open(ctx context.Context, path string, o Options) (*File, error) {
	if o.Name == "" {
		o.Name = path
	}
	if o.EncodingKey == "" {
		o.EncodingKey = "data_encoding"
	}
	if o.DelimiterKey == "" {
		o.DelimiterKey = "data_delimiter"
	}
	format, ok := FormatOf(path)
	if !ok {
		return nil, fmt.Errorf("%s: %w", o.Name, ErrUnknownFormat)
	}
	f := &File{name: o.Name, format: format}
	if err := textfile.CheckFetched(path); err != nil {
		return nil, f.named(err)
	}
	r, err := openRecords(ctx, path, format, o)
	if err != nil {
		return nil, f.named(err)
	}
	f.records = r
	return f, nil
}

func openRecords(ctx context.Context, path string, format Format, o Options) (records, error) {
	open := func() (*textfile.File, error) {
		return textfile.Open(ctx, path, textfile.Options{Encoding: o.Encoding, EncodingKey: o.EncodingKey})
	}
	switch format {
	case JSON:
		return openJSON(open)
	case JSONL, CSV, TSV:
		t, err := open()
		if err != nil {
			return nil, err
		}
		var r records
		if format == JSONL {
			r, err = openJSONL(t)
		} else {
			r, err = openCSV(t, format, o)
		}
		if err != nil {
			return nil, errors.Join(err, t.Close())
		}
		return r, nil
	case Parquet:
		p, err := columnar.OpenParquet(ctx, path)
		if err != nil {
			return nil, err
		}
		return table{p}, nil
	case Arrow:
		a, err := columnar.OpenArrow(ctx, path)
		if err != nil {
			return nil, err
		}
		return table{a}, nil
	case XLSX:
		w, err := workbook.Open(ctx, path)
		if err != nil {
			return nil, err
		}
		return table{w}, nil
	}
	return nil, ErrUnknownFormat
}

// Format is the format of the file.
func (f *File) Format() Format { return f.format }

// Columns are the columns that are known: all columns of a CSV, TSV, XLSX, Parquet
// or Arrow file; the keys of the records so far of a JSON file, at first those
// of its first record. It is empty for a JSON file without records.
func (f *File) Columns() []string { return slices.Clone(f.records.columns()) }

// OtherSheets are the names of the sheets of a workbook that are not read, because they
// are not its first.
func (f *File) OtherSheets() []string {
	if t, ok := f.records.(table); ok {
		return slices.Clone(t.others())
	}
	return nil
}

// Select limits the fields of the records to these columns. It may be called once,
// before the first Next. Columns that the file does not have are ignored. The
// others are not decoded, where the format allows that.
func (f *File) Select(columns ...string) { f.records.selectColumns(columns) }

// Next returns the next record, or io.EOF. The caller may keep the record. The
// first error is returned again ever after.
func (f *File) Next() (Record, error) {
	if f.failed != nil {
		return Record{}, f.failed
	}
	record, err := f.records.next()
	if err != nil {
		f.failed = f.named(err)
		return Record{}, f.failed
	}
	return record, nil
}

// Close closes the file.
func (f *File) Close() error {
	if err := f.records.close(); err != nil {
		return fmt.Errorf("close %s: %w", f.name, err)
	}
	return nil
}
