package dataset

import (
	"errors"
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

var (
	// ErrEmpty means that a data set has no rows, or a folder no data files.
	ErrEmpty = errors.New("the data set is empty")
	// ErrUnknownFormat means that the name of a file has no known extension.
	ErrUnknownFormat = errors.New("unknown format: want .jsonl, .ndjson, .json, .csv, .tsv, .parquet or .xlsx")
)

// MissingColumnError means that a file does not have a requested column.
type MissingColumnError struct {
	File   string
	Column string
	Have   []string // the existing columns, in the order of the file
}

// Error implements error.
func (e *MissingColumnError) Error() string {
	return fmt.Sprintf("%s has no column %q; it has %s", e.File, e.Column, quoteAll(e.Have))
}

// MissingSplitError means that a folder has several splits, and the requested one
// is not among them, or none was requested.
type MissingSplitError struct {
	Folder string
	Split  source.Split // empty if none was requested
	Have   []source.Split
}

// Error implements error.
func (e *MissingSplitError) Error() string {
	if e.Split == "" {
		return fmt.Sprintf("%s has the splits %s: name one of its files or folders", e.Folder, quoteAll(e.Have))
	}
	return fmt.Sprintf("%s has no split %q; it has %s", e.Folder, e.Split, quoteAll(e.Have))
}

// RowError means that a row could not be read.
type RowError struct {
	File string
	// Line counts from 1: the first line of the row in a text file, or the row
	// of a sheet or a Parquet file.
	Line int
	Err  error
}

// Error implements error.
func (e *RowError) Error() string { return fmt.Sprintf("%s:%d: %v", e.File, e.Line, e.Err) }

// Unwrap returns the cause.
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
