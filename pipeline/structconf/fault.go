package structconf

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fault is something wrong in a configuration, with its position.
type Fault struct {
	// Line and Column count from 1. They are 0 if there is no file.
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitzero"`
	Column int    `json:"column,omitzero"`
	// Key is section.key.
	Key string `json:"key"`
	// Value is the wrong value as text; empty for a secret.
	Value string `json:"value,omitempty"`
	// Allowed describes the allowed values.
	Allowed string `json:"allowed,omitempty"`
	Message string `json:"message"`
}

// inOneLine keeps what a person typed in the line of its fault.
var inOneLine = strings.NewReplacer("\n", `\n`, "\r", `\r`)

func (f Fault) String() string {
	var b strings.Builder
	if f.File != "" {
		fmt.Fprintf(&b, "%s:", f.File)
		if f.Line > 0 {
			fmt.Fprintf(&b, "%d:%d:", f.Line, f.Column)
		}
		b.WriteByte(' ')
	}
	b.WriteString(inOneLine.Replace(f.Key))
	if f.Value != "" {
		fmt.Fprintf(&b, " = %s", inOneLine.Replace(f.Value))
	}
	fmt.Fprintf(&b, ": %s", f.Message)
	if f.Allowed != "" {
		fmt.Fprintf(&b, " (allowed: %s)", f.Allowed)
	}
	return b.String()
}

// Faults are all faults of a configuration, as one error.
type Faults []Fault

func (f Faults) Error() string { return strings.Join(f.Lines(), "\n") }

// Lines returns a line for each fault.
func (f Faults) Lines() []string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return lines
}

// Beside returns the faults about keys that have none among others. A value that is
// refused already needs no second reason.
func (f Faults) Beside(others ...Fault) (out Faults) {
	for _, fault := range f {
		if !slices.ContainsFunc(others, func(o Fault) bool { return o.Key == fault.Key }) {
			out = append(out, fault)
		}
	}
	return out
}

// Sort sorts faults by file, line and column. Faults without a position, such as
// a missing key, come last.
func (f Faults) Sort() {
	slices.SortStableFunc(f, func(a, b Fault) int {
		if (a.File == "") != (b.File == "") {
			return cmp.Compare(b.File, a.File)
		}
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}
