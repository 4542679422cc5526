package reader

import (
	"context"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// Options say how to read a file. The zero value is right for most files.
type Options struct {
	// Name is the file as the person knows it, for errors. Empty means the path.
	Name string
	// Encoding is the character encoding of a text file by its WHATWG or IANA
	// name, such as "cp1252". Empty means UTF-8, or what a byte order mark says.
	Encoding string
	// EncodingKey is the key of the specification that sets Encoding, for errors.
	// Empty means "data_encoding".
	EncodingKey string
	// Delimiter separates the cells of a CSV or TSV file. 0 means that it is found
	// in the header: a comma, semicolon, tab or "|"; in a .tsv file it is a tab.
	Delimiter rune
}

// Record is one row of a file.
type Record struct {
	// Line counts from 1: the first line of the record in a text file, the row of
	// a sheet with its header, or the record of a Parquet or Arrow file.
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

// File is an open data file.
type File struct {
	name    string
	format  Format
	records records
}

// records is what a format implements.
type records interface {
	// columns returns the columns that are known so far.
	columns() []string
	// selectColumns is called at most once, before next.
	selectColumns(names []string)
	// next returns io.EOF behind the last record.
	next() (Record, error)
	close() error
}

// Open opens a file. The extension says the format. The error is [ErrUnknownFormat],
// [*Error], or one of the file system.
//
// ctx is for all reading from the file: if it is cancelled, Next returns its
// cause. The bytes read count as progress of its job.
func Open(ctx context.Context, path string, o Options) (*File, error) {
	if o.Name == "" {
		o.Name = path
	}
	format, ok := FormatOf(path)
	if !ok {
		return nil, ErrUnknownFormat
	}
	r, err := openRecords(ctx, path, format, o)
	if err != nil {
		return nil, err
	}
	return &File{name: o.Name, format: format, records: r}, nil
}

// Format is the format of the file.
func (f *File) Format() Format { return f.format }

// Columns are the columns that are known: all columns of a CSV, TSV, XLSX, Parquet
// or Arrow file; the keys of the records so far of a JSON file, at first those
// of its first record. It is empty for a JSON file without records.
func (f *File) Columns() []string { return slices.Clone(f.records.columns()) }

// Select limits the fields of the records to these columns. It may be called once,
// before the first Next. Columns that the file does not have are ignored. A
// Parquet or Arrow file decodes the others not at all.
func (f *File) Select(columns ...string) { f.records.selectColumns(columns) }

// Next returns the next record, or io.EOF. The caller may keep the record. After
// an error Next must not be called again.
func (f *File) Next() (Record, error) { return f.records.next() }

// Close closes the file.
func (f *File) Close() error {
	if err := f.records.close(); err != nil {
		return fmt.Errorf("close %s: %w", f.name, err)
	}
	return nil
}
