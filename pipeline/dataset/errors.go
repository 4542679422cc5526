package dataset

import (
	"errors"
	"fmt"
	"strings"
)

var (
	// ErrEmpty says that a data set has no rows, or a folder no data files.
	ErrEmpty = errors.New("the data set is empty")
	// ErrUnknownFormat says that a file's name tells no format that can be read.
	ErrUnknownFormat = errors.New("unknown format: want .jsonl, .ndjson, .json, .csv, .tsv, .parquet or .xlsx")
)

// MissingColumnError says that a file does not have a column that is asked for.
type MissingColumnError struct {
	File   string
	Column string
	Have   []string // the columns that exist, in the file's order
}

// Error implements error.
func (e *MissingColumnError) Error() string {
	return fmt.Sprintf("%s has no column %q; it has %s", e.File, e.Column, quoteAll(e.Have))
}

// MissingSplitError says that a folder has several splits, and not the one
// that is asked for, or that none is asked for.
type MissingSplitError struct {
	Folder string
	Split  Split // empty if none was asked for
	Have   []Split
}

// Error implements error.
func (e *MissingSplitError) Error() string {
	if e.Split == "" {
		return fmt.Sprintf("%s has the splits %s: name one of its files or folders", e.Folder, quoteAll(e.Have))
	}
	return fmt.Sprintf("%s has no split %q; it has %s", e.Folder, e.Split, quoteAll(e.Have))
}

// RowError says which row of which file could not be read.
type RowError struct {
	File string
	// Line counts from 1: the line of a text file where the row begins, the
	// row of a sheet, the row of a Parquet file.
	Line int
	Err  error
}

// Error implements error.
func (e *RowError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap answers the cause.
func (e *RowError) Unwrap() error { return e.Err }

func quoteAll[S ~string](names []S) string {
	if len(names) == 0 {
		return "none"
	}
	quoted := make([]string, len(names))
	for i, name := range names {
		quoted[i] = fmt.Sprintf("%q", string(name))
	}
	return strings.Join(quoted, ", ")
}
