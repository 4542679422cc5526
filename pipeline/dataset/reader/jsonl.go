package reader

import (
	"bytes"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/textfile"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// jsonRows decodes the records of JSON files. The keys of the first record are
// known when the file is open, so it is decoded twice: then, and when it is
// asked for.
type jsonRows struct {
	decoder value.JSONDecoder
	seen    seenColumns
}

func (r *jsonRows) columns() []string            { return r.seen.names }
func (r *jsonRows) selectColumns(names []string) { r.decoder.Select(names) }

// peek learns the columns from the first record. If that is damaged, reading it
// says so.
func (r *jsonRows) peek(text []byte) {
	if _, names, err := r.decoder.Object(text); err == nil {
		r.seen.add(names)
	}
}

// decode decodes the text of a record that begins in a line.
func (r *jsonRows) decode(text []byte, line int) (Record, error) {
	fields, names, err := r.decoder.Object(text)
	if err != nil {
		return Record{}, jsonError(err, text, line)
	}
	r.seen.add(names)
	return Record{Line: line, Fields: fields}, nil
}

// jsonError gives a syntax error its line, and the place in the line.
func jsonError(err error, text []byte, line int) error {
	syntax, ok := errors.AsType[*value.SyntaxError](err)
	if !ok {
		return &fault.Error{Line: line, Err: err}
	}
	before := text[:min(syntax.Offset, len(text))]
	line += bytes.Count(before, []byte("\n"))
	before = before[bytes.LastIndexByte(before, '\n')+1:]
	return fault.At(line, "at character %d: %w", utf8.RuneCount(before)+1, syntax)
}

// jsonl reads JSON lines: one object in each line. Empty lines are left out.
type jsonl struct {
	jsonRows
	text *textfile.File
	line int // lines that were consumed
}

// openJSONL opens JSON lines, or a JSON array that has this extension.
func openJSONL(t *textfile.File) (records, error) {
	r := &jsonl{text: t}
	row, _, err := r.row()
	if err == io.EOF {
		return r, nil
	}
	if err != nil {
		return nil, err
	}
	if row[0] == '[' {
		return openArray(&jsonText{text: t, line: 1 + r.line})
	}
	r.peek(row)
	return r, nil
}

func (r *jsonl) close() error { return r.text.Close() }

func (r *jsonl) next() (Record, error) {
	row, size, err := r.row()
	if err != nil {
		return Record{}, err
	}
	r.line++
	record, err := r.decode(row, r.line)
	r.text.Consume(size)
	if syntax, ok := errors.AsType[*value.SyntaxError](err); ok && syntax.Offset >= len(row) {
		return Record{}, fault.At(r.line, "%w; a line of JSON lines holds a whole object, and an object of several lines belongs in a .json file", syntax)
	}
	return record, err
}

// row returns the next line that is not empty, without blanks around it, and its
// size in the buffer. It does not consume it.
func (r *jsonl) row() (row []byte, size int, err error) {
	for searched := 0; ; {
		buffered := r.text.Buffered()
		size = len(buffered)
		if i := bytes.IndexByte(buffered[searched:], '\n'); i >= 0 {
			size = searched + i + 1
		} else {
			searched = size
			err := r.text.Fill()
			if err == nil {
				continue
			}
			if buffered = r.text.Buffered(); err != io.EOF || len(buffered) == 0 {
				return nil, 0, err
			}
		}
		if row = bytes.Trim(buffered[:size], " \t\r\n"); len(row) > 0 {
			return row, size, nil
		}
		r.text.Consume(size)
		r.line++
		searched = 0
	}
}
