// Package fault has the error of a place in a data file. Those who read formats do
// not know the name of the file; package reader adds it.
package fault

import "fmt"

// Error is a fault at some place.
type Error struct {
	Line   int    // or row, from 1; 0 if the file as a whole is meant
	Column string // empty if no single column is meant
	Err    error
}

// Error implements error.
func (e *Error) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// At returns a fault in a line, worded as fmt.Errorf does.
func At(line int, format string, args ...any) error {
	return &Error{Line: line, Err: fmt.Errorf(format, args...)}
}
