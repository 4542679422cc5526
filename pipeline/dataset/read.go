package dataset

import (
	"context"
	"errors"
	"io"

	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/dataset/row"
	"github.com/tunebus/tunebus/pipeline/dataset/shape"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// visitor gets each row of a file, in order, with what it lacks and the record that
// it was. An error stops the reading and is returned unchanged.
type visitor func(r row.Row, lack shape.Lack, from reader.Record) error

// read reads the rows of a file from the columns of its records that are named.
// position is that of the next row in the data set. It returns the columns of the file that are known then: all, if the file was read
// to its end.
func (d *Dataset) read(
	ctx context.Context, f file, named []string, find shape.Images, position *int64, visit visitor,
) (columns []string, err error) {
	defer progress.Doing(ctx, "reading "+f.shown)()
	r, err := d.open(ctx, f)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	r.Select(named...)
	about := shape.File{Images: find, IsColumnar: f.format == reader.Parquet || f.format == reader.Arrow}
	for {
		// A reader has records in its buffer when its context ends.
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		record, err := r.Next()
		if errors.Is(err, io.EOF) {
			return r.Columns(), nil
		}
		if err != nil {
			return nil, err
		}
		made, lack, err := d.converter.Convert(record, about)
		if err != nil {
			return nil, rowError(f, record.Line, err)
		}
		made.Place = row.Place{File: f.shown, Line: record.Line, Unit: unit(f.format), Position: *position}
		if err := visit(made, lack, record); err != nil {
			return nil, err
		}
	}
}

// rowError is an error in a row, with its place.
func rowError(f file, line int, err error) error {
	e := &reader.Error{File: f.shown, Format: f.format, Line: line, Err: err}
	if column, ok := errors.AsType[*shape.ColumnError](err); ok {
		e.Column, e.Err = column.Column, column.Err
	}
	return e
}

// unit is what the lines of records count.
func unit(f reader.Format) string {
	switch f {
	case reader.Parquet, reader.Arrow, reader.XLSX:
		return "row"
	}
	return "line"
}
