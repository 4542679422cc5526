package value

import "fmt"

// NotTextError means that text is wanted where a value has no written form.
type NotTextError struct {
	Kind Kind // Missing, List, Object or Bytes
}

// Error implements error.
func (e *NotTextError) Error() string { return fmt.Sprintf("it holds %s, not text", e.Kind) }

// Text returns the value where text is wanted. The rule is the same for every
// format:
//
//   - A text is itself.
//   - A number is as the file writes it. Formats that store numbers in binary
//     form have the shortest digits that mean the same number: 42, 0.1, 1.0,
//     1e+16; a whole number below that has all its digits, and a decimal all
//     digits of its scale: 12.50.
//   - A boolean is true or false.
//   - A date is 2024-03-05, a time of day 09:20:00, a timestamp
//     2024-03-05T09:20:00, one that is an instant 2024-03-05T09:20:00+00:00, in
//     UTC. A fraction of a second has six digits, or nine if it needs them. A UUID
//     has its 36 characters. Readers return all of these as [Text].
//   - A missing value, a list, an object and bytes are a [*NotTextError].
func (v Value) Text() (string, error) {
	switch v.kind {
	case Text, Number, Bool:
		return v.text, nil
	}
	return "", &NotTextError{Kind: v.kind}
}
