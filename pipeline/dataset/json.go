package dataset

import (
	"encoding/json"
	"errors"
	"io"
)

func readJSON(path string, want []string, visit visitor) ([]string, error) {
	r := &jsonReader{path: path, rows: newObjects(want), visit: visit}
	for _, try := range []func() error{r.array, r.sequence} {
		if err := r.open(try); !errors.Is(err, errOtherShape) {
			return r.rows.have, err
		}
	}
	return nil, errOtherShape
}

// errOtherShape says that a file has no array of rows, before any row is read.
var errOtherShape = errors.New("no array of rows")

// jsonReader reads rows out of a JSON text of any size.
type jsonReader struct {
	path  string
	rows  *objects
	visit visitor
	d     *json.Decoder
	lines *lineCounter
}

func (r *jsonReader) open(read func() error) (err error) {
	t, err := openText(r.path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	r.lines = &lineCounter{r: t, line: 1}
	r.d = json.NewDecoder(r.lines)
	return read()
}

// array reads [row, …] or {…, "data": [row, …], …}.
func (r *jsonReader) array() error {
	start, err := r.d.Token()
	switch {
	case err == io.EOF:
		return nil // an empty file has no rows
	case err != nil:
		return r.fault(err)
	case start == json.Delim('['):
		return r.elements(r.end)
	case start != json.Delim('{'):
		return r.fault(errors.New("the file is neither a JSON array nor a JSON object"))
	}
	for r.d.More() {
		key, err := r.d.Token()
		if err != nil {
			return r.fault(err)
		}
		if key == "data" {
			return r.data()
		}
		if err := r.skip(); err != nil {
			return err
		}
	}
	return errOtherShape
}

// data reads the value of "data". It is an array of rows only if it begins
// with an object; otherwise it is a column of the one row that the file begins
// with.
func (r *jsonReader) data() error {
	var first json.RawMessage
	start, err := r.d.Token()
	if err != nil {
		return r.fault(err)
	}
	if start != json.Delim('[') {
		return errOtherShape
	}
	if r.d.More() {
		if err := r.d.Decode(&first); err != nil {
			return r.fault(err)
		}
		if first[0] != '{' {
			return errOtherShape
		}
		if err := r.row(first); err != nil {
			return err
		}
	}
	return r.elements(func() error {
		for r.d.More() {
			if _, err := r.d.Token(); err != nil { // the key
				return r.fault(err)
			}
			if err := r.skip(); err != nil {
				return err
			}
		}
		if _, err := r.d.Token(); err != nil { // the closing brace
			return r.fault(err)
		}
		return r.end()
	})
}

// elements reads the rest of an array of rows, and what follows it.
func (r *jsonReader) elements(rest func() error) error {
	for r.d.More() {
		if err := r.next(); err != nil {
			return err
		}
	}
	if _, err := r.d.Token(); err != nil { // the closing bracket
		return r.fault(err)
	}
	return rest()
}

// sequence reads row after row.
func (r *jsonReader) sequence() error {
	for r.d.More() {
		if err := r.next(); err != nil {
			return err
		}
	}
	return r.end()
}

func (r *jsonReader) next() error {
	var raw json.RawMessage
	if err := r.d.Decode(&raw); err != nil {
		return r.fault(err)
	}
	return r.row(raw)
}

// row handles the value that was decoded last.
func (r *jsonReader) row(raw json.RawMessage) error {
	line := r.lines.at(r.d.InputOffset() - int64(len(raw)))
	if err := r.rows.parse(raw); err != nil {
		return &RowError{File: r.path, Line: line, Err: err}
	}
	return r.visit(line, r.rows.values)
}

func (r *jsonReader) skip() error {
	var raw json.RawMessage
	if err := r.d.Decode(&raw); err != nil {
		return r.fault(err)
	}
	return nil
}

// end expects nothing more.
func (r *jsonReader) end() error {
	switch _, err := r.d.Token(); {
	case err == io.EOF:
		return nil
	case err != nil:
		return r.fault(err)
	}
	return r.fault(errors.New("something follows the rows"))
}

func (r *jsonReader) fault(err error) error {
	return &RowError{File: r.path, Line: r.lines.at(r.d.InputOffset()), Err: jsonError(err)}
}

// lineCounter tells the lines of offsets in what was read through it. Asked in
// rising order, it remembers only what is between the offset and the reader.
type lineCounter struct {
	r     io.Reader
	read  int64
	feeds []int64 // offsets of line feeds not passed yet
	line  int
}

func (l *lineCounter) Read(p []byte) (int, error) {
	n, err := l.r.Read(p)
	for i, c := range p[:n] {
		if c == '\n' {
			l.feeds = append(l.feeds, l.read+int64(i))
		}
	}
	l.read += int64(n)
	return n, err
}

// at is the line of an offset, from 1.
func (l *lineCounter) at(offset int64) int {
	for len(l.feeds) > 0 && l.feeds[0] < offset {
		l.feeds = l.feeds[1:]
		l.line++
	}
	return l.line
}
