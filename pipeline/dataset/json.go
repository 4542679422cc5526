package dataset

import (
	"encoding/json"
	"errors"
	"io"
)

// readJSON reads a .json file. It tries the shapes with an array first; they are
// excluded before a row is visited.
func readJSON(path string, want []string, visit visitor) ([]string, error) {
	r := &jsonReader{path: path, rows: newObjectDecoder(want), visit: visit}
	for _, read := range []func() error{r.array, r.sequence} {
		if err := r.open(read); !errors.Is(err, errOtherShape) {
			return r.rows.have, err
		}
	}
	return nil, errOtherShape
}

// errOtherShape means that a file has no array of rows. It is returned before the
// first row is visited.
var errOtherShape = errors.New("no array of rows")

// jsonReader reads rows from a JSON text of unlimited size.
type jsonReader struct {
	path  string
	rows  *objectDecoder
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
		return r.rowError(err)
	case start == json.Delim('['):
		return r.elements(r.end)
	case start != json.Delim('{'):
		return r.rowError(errors.New("the file is neither a JSON array nor a JSON object"))
	}
	for r.d.More() {
		key, err := r.d.Token()
		if err != nil {
			return r.rowError(err)
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

// data reads the value of "data". If it is an array whose first element is an
// object, it has the rows; otherwise "data" is a column of the first row of the
// file.
func (r *jsonReader) data() error {
	var first json.RawMessage
	start, err := r.d.Token()
	if err != nil {
		return r.rowError(err)
	}
	if start != json.Delim('[') {
		return errOtherShape
	}
	if r.d.More() {
		if err := r.d.Decode(&first); err != nil {
			return r.rowError(err)
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
				return r.rowError(err)
			}
			if err := r.skip(); err != nil {
				return err
			}
		}
		if _, err := r.d.Token(); err != nil { // the closing brace
			return r.rowError(err)
		}
		return r.end()
	})
}

// elements reads the remaining elements of an array of rows, then calls after.
func (r *jsonReader) elements(after func() error) error {
	for r.d.More() {
		if err := r.next(); err != nil {
			return err
		}
	}
	if _, err := r.d.Token(); err != nil { // the closing bracket
		return r.rowError(err)
	}
	return after()
}

// sequence reads rows that are not in an array.
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
		return r.rowError(err)
	}
	return r.row(raw)
}

// row visits the value that was decoded last.
func (r *jsonReader) row(raw json.RawMessage) error {
	line := r.lines.lineOf(r.d.InputOffset() - int64(len(raw)))
	if err := r.rows.parse(raw); err != nil {
		return &RowError{File: r.path, Line: line, Err: err}
	}
	return r.visit(line, r.rows.values)
}

func (r *jsonReader) skip() error {
	var raw json.RawMessage
	if err := r.d.Decode(&raw); err != nil {
		return r.rowError(err)
	}
	return nil
}

// end checks that nothing follows.
func (r *jsonReader) end() error {
	switch _, err := r.d.Token(); {
	case err == io.EOF:
		return nil
	case err != nil:
		return r.rowError(err)
	}
	return r.rowError(errors.New("something follows the rows"))
}

func (r *jsonReader) rowError(err error) error {
	return &RowError{File: r.path, Line: r.lines.lineOf(r.d.InputOffset()), Err: jsonError(err)}
}

// lineCounter knows the line of an offset in the text that is read through it.
// Offsets must be requested in rising order, so it stores only the line feeds
// between the last offset and the position of the reader.
type lineCounter struct {
	r     io.Reader
	read  int64
	feeds []int64 // offsets of the line feeds after the last requested offset
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

// lineOf returns the line of an offset, from 1.
func (l *lineCounter) lineOf(offset int64) int {
	for len(l.feeds) > 0 && l.feeds[0] < offset {
		l.feeds = l.feeds[1:]
		l.line++
	}
	return l.line
}
