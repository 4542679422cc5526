package shape

import (
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/reader"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// content is what the cells of a column hold.
type content uint8

const (
	nothing content = iota // all cells so far are missing
	text                   // texts, numbers or booleans
	texts                  // lists of them
	turns                  // lists of objects
	list                   // other lists
	object
	binary
)

// String names the content as an error does.
func (c content) String() string {
	return []string{"no values", "text", "a list of texts", "a list of objects", "a list", "an object", "bytes"}[c]
}

// maxColumns bounds a survey: JSON rows may have other keys each.
const maxColumns = 1000

// surveyed is the number of records after which a survey is finished.
const surveyed = 100

// Survey is what the first records of a data set tell about its columns. The zero
// value has seen nothing.
type Survey struct {
	// Whole says that the survey is finished with the last record only. The rows of
	// a JSON file may have the keys of their shape late.
	Whole    bool
	columns  []string
	contents map[string]content
	// unsaid are the columns in which a value is neither true nor false.
	unsaid  map[string]bool
	records int
}

// Add adds the columns of a file that are known without a record.
func (s *Survey) Add(columns []string) {
	if s.contents == nil {
		s.contents, s.unsaid = map[string]content{}, map[string]bool{}
	}
	for _, name := range columns {
		if _, known := s.contents[name]; !known && len(s.columns) < maxColumns {
			s.columns = append(s.columns, name)
			s.contents[name] = nothing
		}
	}
}

// Record adds a record.
func (s *Survey) Record(r reader.Record) {
	s.records++
	for _, f := range r.Fields {
		s.Add([]string{f.Name})
		if !s.has(f.Name) { // there are too many
			continue
		}
		if !f.Value.IsMissing() && !isTruth(f.Value) {
			s.unsaid[f.Name] = true
		}
		// An empty list may be one of anything, so a later one counts more.
		if before := s.contents[f.Name]; before == nothing || before == list {
			if c := contentOf(f.Value); c != nothing {
				s.contents[f.Name] = c
			}
		}
	}
}

// IsFinished reports whether enough records were seen.
func (s *Survey) IsFinished() bool { return !s.Whole && s.records >= surveyed }

// Columns are the columns in the order in which they occur.
func (s *Survey) Columns() []string { return slices.Clone(s.columns) }

// has reports whether a column exists.
func (s *Survey) has(column string) bool {
	_, known := s.contents[column]
	return known
}

// holds reports whether a column exists and has one of the contents, or no values.
func (s *Survey) holds(column string, contents ...content) bool {
	c := s.contents[column]
	return s.has(column) && (c == nothing || slices.Contains(contents, c))
}

// holdsTurns reports whether a column has lists of messages, or their JSON.
func (s *Survey) holdsTurns(column string) bool { return s.has(column) && s.contents[column] == turns }

// judges reports whether a column has true and false alone.
func (s *Survey) judges(column string) bool { return s.contents[column] == text && !s.unsaid[column] }

// isTruth reports whether a value is true or false, also as the text of a CSV file.
func isTruth(v value.Value) bool {
	written, err := v.Text()
	return v.Kind() == value.Bool || err == nil && (strings.EqualFold(written, "true") || strings.EqualFold(written, "false"))
}

func contentOf(v value.Value) content {
	switch v.Kind() {
	case value.Missing:
		return nothing
	case value.Text:
		if nested, ok := v.Listed(); ok {
			if c := contentOf(nested); c == turns {
				return turns
			}
		}
		return text
	case value.Number, value.Bool:
		return text
	case value.Object:
		return object
	case value.Bytes:
		return binary
	}
	c := list
	for _, item := range v.Items() {
		switch item.Kind() {
		case value.Object:
			return turns
		case value.Text, value.Number, value.Bool:
			c = texts
		case value.List, value.Bytes:
			return list
		}
	}
	return c
}
