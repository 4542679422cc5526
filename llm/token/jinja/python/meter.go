package python

import "fmt"

// MaxDepth bounds how deep a value is nested that is printed, compared or
// written as JSON.
const MaxDepth = 200

// Error is what Python would raise.
type Error struct{ Kind, Message string }

// Error is the message with its kind.
func (e *Error) Error() string { return e.Kind + ": " + e.Message }

// Raise ends a rendering with an error.
func Raise(kind, format string, args ...any) {
	panic(&Error{Kind: kind, Message: fmt.Sprintf(format, args...)})
}

// typeError is the most frequent one.
func typeError(format string, args ...any) { Raise("TypeError", format, args...) }

// Unsupported ends a rendering that would need what is not covered.
func Unsupported(format string, args ...any) { Raise("not supported", format, args...) }

// LimitError says which limit a rendering exceeds.
type LimitError struct {
	What  string
	Limit int
}

// Error names the limit.
func (e *LimitError) Error() string {
	return fmt.Sprintf("it takes more than %d %s; does it loop without an end, or write the same text again and again?", e.Limit, e.What)
}

// Meter counts what a rendering takes, so that none of them takes for ever
// or fills the memory.
type Meter struct {
	maxSteps, maxBytes int
	steps, bytes       int
	depth              int
}

// NewMeter allows so many steps and so many bytes of texts and lists.
func NewMeter(steps, bytes int) *Meter {
	return &Meter{maxSteps: steps, maxBytes: bytes}
}

// Step counts work.
func (m *Meter) Step(n int) {
	if n < 0 || n > m.maxSteps-m.steps {
		panic(&LimitError{What: "steps", Limit: m.maxSteps})
	}
	m.steps += n
}

// Alloc counts bytes before they are taken, with the work to fill them.
func (m *Meter) Alloc(n int) {
	if n < 0 || n > m.maxBytes-m.bytes {
		panic(&LimitError{What: "bytes of texts and lists", Limit: m.maxBytes})
	}
	m.bytes += n
	m.Step(1 + n/256)
}

// Spare reports whether less than half of what is allowed was taken.
func (m *Meter) Spare() bool { return m.steps < m.maxSteps/2 && m.bytes < m.maxBytes/2 }

// Enter counts the nesting of a value; the result undoes it.
func (m *Meter) Enter() func() {
	m.Step(1)
	if m.depth++; m.depth > MaxDepth {
		Raise("RecursionError", "a value is nested more than %d deep", MaxDepth)
	}
	return func() { m.depth-- }
}
