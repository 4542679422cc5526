package reader

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
)

// ErrUnknownFormat means that the name of a file has no known extension.
var ErrUnknownFormat = errors.New("unknown format: want .jsonl, .ndjson, .json, .csv or .tsv, which may end in .gz or .zst, " +
	"or .parquet, .arrow, .feather or .xlsx")

// Error means that a file could not be read at some place.
type Error struct {
	File   string // [Options.Name]
	Format Format
	Line   int    // see [Record]; 0 if the file as a whole is meant
	Column string // empty if no single column is meant
	Err    error
}

// Error implements error: `train.csv, line 3, column "answer": …`.
func (e *Error) Error() string {
	where := e.File
	if e.Line > 0 {
		unit := "row"
		if e.Format.isText() {
			unit = "line"
		}
		where += fmt.Sprintf(", %s %d", unit, e.Line)
	}
	if e.Column != "" {
		where += fmt.Sprintf(", column %q", e.Column)
	}
	return where + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// named completes an error with the file. The path on the disk may be one that
// the person does not know, so it is replaced.
func (f *File) named(err error) error {
	if err == io.EOF || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if e, ok := errors.AsType[*fault.Error](err); ok {
		return &Error{File: f.name, Format: f.format, Line: e.Line, Column: e.Column, Err: e.Err}
	}
	if path, ok := errors.AsType[*fs.PathError](err); ok {
		return &Error{File: f.name, Format: f.format, Err: path.Err}
	}
	return &Error{File: f.name, Format: f.format, Err: err}
}
