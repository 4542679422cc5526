package dataset

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
)

func readCSV(path string, comma rune, want []string, visit visitor) (_ []string, err error) {
	t, err := openText(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	r := csv.NewReader(t)
	r.Comma = comma
	r.ReuseRecord = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	if err != nil {
		return nil, csvError(path, err)
	}
	have := slices.Clone(header)
	if err := checkHeader(have); err != nil {
		return nil, &RowError{File: path, Line: 1, Err: err}
	}
	columns := columnIndexes(have, want)
	values := make([]cell, len(want))
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return have, nil
		}
		if err != nil {
			return nil, csvError(path, err)
		}
		for i, p := range columns {
			if p >= 0 {
				values[i] = cell{text: record[p], present: true}
			}
		}
		line, _ := r.FieldPos(0)
		if err := visit(line, values); err != nil {
			return nil, err
		}
	}
}

func csvError(path string, err error) error {
	if parseErr, ok := errors.AsType[*csv.ParseError](err); ok {
		return &RowError{File: path, Line: parseErr.StartLine, Err: parseErr.Err}
	}
	return fmt.Errorf("read %s: %w", path, err)
}

// checkHeader refuses a name that occurs twice, because it is ambiguous.
func checkHeader(header []string) error {
	for i, name := range header {
		if name != "" && slices.Contains(header[:i], name) {
			return fmt.Errorf("column %q occurs twice", name)
		}
	}
	return nil
}
