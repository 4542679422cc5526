package reader

import (
	"errors"
	"fmt"
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
