package reader

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

func openRecords(ctx context.Context, path string, format Format, o Options) (records, error) {
	if format != JSONL {
		return nil, &Error{File: o.Name, Format: format, Err: errors.New("this format is not read yet")}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(f)
	lines.Buffer(make([]byte, 0, 64<<10), 64<<20)
	r := &jsonl{file: f, lines: lines, name: o.Name}
	r.first, r.firstErr = r.read()
	return r, nil
}

type jsonl struct {
	file     *os.File
	lines    *bufio.Scanner
	name     string
	line     int
	seen     []string
	wanted   []string
	first    Record
	firstErr error
	started  bool
}

func (r *jsonl) columns() []string            { return r.seen }
func (r *jsonl) selectColumns(names []string) { r.wanted = names }
func (r *jsonl) close() error                 { return r.file.Close() }

func (r *jsonl) next() (Record, error) {
	record, err := r.first, r.firstErr
	if r.started {
		record, err = r.read()
	}
	r.started = true
	if r.wanted != nil {
		record.Fields = slices.DeleteFunc(record.Fields, func(f value.Field) bool { return !slices.Contains(r.wanted, f.Name) })
	}
	return record, err
}

func (r *jsonl) read() (Record, error) {
	for r.lines.Scan() {
		r.line++
		line := bytes.TrimSpace(r.lines.Bytes())
		if len(line) == 0 {
			continue
		}
		v, err := value.FromJSON(line)
		if err == nil && v.Kind() != value.Object {
			err = errors.New("the row is no JSON object")
		}
		if err != nil {
			return Record{}, &Error{File: r.name, Format: JSONL, Line: r.line, Err: err}
		}
		record := Record{Line: r.line}
		for name, field := range v.Fields() {
			record.Fields = append(record.Fields, value.Field{Name: name, Value: field})
			if !slices.Contains(r.seen, name) {
				r.seen = append(r.seen, name)
			}
		}
		return record, nil
	}
	if err := r.lines.Err(); err != nil {
		return Record{}, &Error{File: r.name, Format: JSONL, Line: r.line + 1, Err: err}
	}
	return Record{}, io.EOF
}
