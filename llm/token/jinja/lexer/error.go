package lexer

import "fmt"

// Error says what is wrong with the source of a template, and in which line.
type Error struct {
	Line   int
	Reason string
}

// Error names the line.
func (e *Error) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Reason) }

// Fail ends the reading of a template with an error, which whoever reads it
// recovers.
func Fail(line int, format string, args ...any) {
	panic(&Error{Line: line, Reason: fmt.Sprintf(format, args...)})
}
