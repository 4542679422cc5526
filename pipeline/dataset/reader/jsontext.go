package reader

import (
	"bytes"
	"io"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/textfile"
	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// jsonText finds where the values of a JSON text of any size begin and end. What
// is inside of a value is checked by who decodes it.
//
// encoding/json/jsontext would find them as well; it reads a row of messages in
// three times the time, and knows no lines.
type jsonText struct {
	text *textfile.File
	line int // of the next byte
}

// consume removes n bytes of the buffer.
func (j *jsonText) consume(n int) {
	j.line += bytes.Count(j.text.Buffered()[:n], []byte("\n"))
	j.text.Consume(n)
}

// peek consumes blanks and returns the next byte.
func (j *jsonText) peek() (byte, error) {
	for {
		for i, b := range j.text.Buffered() {
			switch b {
			case ' ', '\t', '\n', '\r':
			default:
				j.consume(i)
				return b, nil
			}
		}
		j.consume(len(j.text.Buffered()))
		if err := j.text.Fill(); err != nil {
			return 0, err
		}
	}
}

// expect consumes one byte.
func (j *jsonText) expect(want byte) error {
	b, err := j.peek()
	switch {
	case err != nil:
		return j.cut(err)
	case b != want:
		return fault.At(j.line, "%q is wanted, %q is there", want, b)
	}
	j.consume(1)
	return nil
}

// cut is the error for a text that ends too early.
func (j *jsonText) cut(err error) error {
	if err != io.EOF {
		return err
	}
	return fault.At(j.line, "the JSON ends in the middle; the file was not written, copied or downloaded whole")
}

// key consumes a key and its colon.
func (j *jsonText) key() (string, error) {
	b, err := j.peek()
	if err != nil {
		return "", j.cut(err)
	}
	if b != '"' {
		return "", fault.At(j.line, "a key in double quotes is wanted, %q is there", b)
	}
	raw, err := j.value()
	if err != nil {
		return "", err
	}
	key, err := value.FromJSON(raw)
	if err != nil {
		return "", jsonError(err, raw, j.line)
	}
	j.consume(len(raw))
	text, err := key.Text()
	if err != nil {
		return "", err
	}
	return text, j.expect(':')
}

// record decodes the next value and consumes it.
func (j *jsonText) record(rows *jsonRows) (Record, error) {
	raw, err := j.value()
	if err != nil {
		return Record{}, err
	}
	record, err := rows.decode(raw, j.line)
	j.consume(len(raw))
	return record, err
}

// value returns the text of the next value, which stays in the buffer.
func (j *jsonText) value() ([]byte, error) {
	if _, err := j.peek(); err != nil {
		return nil, j.cut(err)
	}
	var s valueScanner
	for {
		buffered := j.text.Buffered()
		if n, ended := s.scan(buffered); ended {
			return buffered[:n], nil
		}
		if err := j.text.Fill(); err != nil {
			if err == io.EOF && s.isScalar() {
				return j.text.Buffered(), nil
			}
			return nil, j.cut(err)
		}
	}
}

// skip consumes a value, or the rest of one of which depth brackets were consumed.
func (j *jsonText) skip(depth int) error {
	if _, err := j.peek(); err != nil {
		return j.cut(err)
	}
	s := valueScanner{depth: depth}
	for {
		n, ended := s.scan(j.text.Buffered())
		j.consume(n)
		s.at = 0
		if ended {
			return nil
		}
		if err := j.text.Fill(); err != nil {
			return j.cut(err)
		}
	}
}

// valueScanner finds the end of a value whose text arrives in parts.
type valueScanner struct {
	at       int // in the text; behind what was scanned
	depth    int
	inString bool
	escaped  bool
	inScalar bool // a number or a word, at depth 0
}

func (s *valueScanner) isScalar() bool { return s.inScalar }

// scan goes on in a text that begins as before and may be longer. It returns the
// end of the value, or the end of the text.
func (s *valueScanner) scan(text []byte) (n int, ended bool) {
	for s.at < len(text) {
		if s.inString {
			s.string(text)
			if !s.inString && s.depth == 0 {
				return s.at, true
			}
			continue
		}
		b := text[s.at]
		if s.inScalar {
			switch b {
			case ' ', '\t', '\n', '\r', ',', ']', '}', '{', '[', '"', ':':
				return s.at, true
			}
			s.at++
			continue
		}
		s.at++
		switch b {
		case '"':
			s.inString = true
		case '{', '[':
			s.depth++
		case '}', ']':
			if s.depth--; s.depth <= 0 {
				return s.at, true
			}
		default:
			s.inScalar = s.depth == 0
		}
	}
	return s.at, false
}

// string goes on in a string, to behind its quote or to the end of the text.
func (s *valueScanner) string(text []byte) {
	for s.at < len(text) {
		if s.escaped {
			s.escaped = false
			s.at++
			continue
		}
		rest := text[s.at:]
		quote := bytes.IndexByte(rest, '"')
		if quote >= 0 {
			rest = rest[:quote]
		}
		if escape := bytes.IndexByte(rest, '\\'); escape >= 0 {
			s.escaped = true
			s.at += escape + 1
			continue
		}
		s.at += len(rest)
		if quote >= 0 {
			s.at++
			s.inString = false
			return
		}
	}
}
