package reader

import (
	"errors"
	"io"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/textfile"
)

// openJSON opens a .json file: an array of records, an object whose "data" is one,
// or a sequence of objects.
func openJSON(open func() (*textfile.File, error)) (_ records, err error) {
	t, err := open()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	text := &jsonText{text: t, line: 1}
	start, err := text.peek()
	switch {
	case errors.Is(err, io.EOF):
		return openSequence(text)
	case err != nil:
		return nil, err
	case start == '[':
		return openArray(text)
	case start != '{':
		return nil, fault.At(text.line, "the file begins with %q; a JSON array of rows is wanted, or an object for each row", start)
	}
	// The layout shows in the first object, which may be the whole file. So the
	// file is read again from its start.
	l := findLayout(text)
	if err := l.refused(); err != nil {
		return nil, fault.At(0, "%w", err)
	}
	again, err := open()
	if err != nil {
		return nil, err
	}
	t, err = again, t.Close()
	if err != nil {
		return nil, err
	}
	text = &jsonText{text: t, line: 1}
	if l.rowsInData {
		return openData(text)
	}
	return openSequence(text)
}

// jsonSequence reads objects that follow each other.
type jsonSequence struct {
	jsonRows
	text *jsonText
}

func openSequence(text *jsonText) (records, error) {
	r := &jsonSequence{text: text}
	if raw, err := text.value(); err == nil {
		r.peek(raw) // an empty file has none
	}
	return r, nil
}

func (r *jsonSequence) close() error { return r.text.text.Close() }

func (r *jsonSequence) next() (Record, error) {
	if _, err := r.text.peek(); err != nil {
		return Record{}, err
	}
	return r.text.record(&r.jsonRows)
}

// jsonArray reads the objects of an array.
type jsonArray struct {
	jsonRows
	text *jsonText
	// inObject means that the array is the value of "data", and more keys may
	// follow it.
	inObject bool
	started  bool
	ended    bool
}

// openArray opens an array whose bracket is next.
func openArray(text *jsonText) (records, error) {
	r := &jsonArray{text: text}
	return r, r.open()
}

// rowsKey is the key of an object whose value is the list of rows.
const rowsKey = "data"

// openData opens the array that is the value of the key "data" of an object.
func openData(text *jsonText) (records, error) {
	r := &jsonArray{text: text, inObject: true}
	if err := text.expect('{'); err != nil {
		return nil, err
	}
	for {
		key, err := text.key()
		if err != nil {
			return nil, err
		}
		if key == rowsKey {
			return r, r.open()
		}
		if err := text.skip(0); err != nil {
			return nil, err
		}
		if err := text.expect(','); err != nil {
			return nil, err
		}
	}
}

func (r *jsonArray) open() error {
	if err := r.text.expect('['); err != nil {
		return err
	}
	switch start, err := r.text.peek(); {
	case err != nil:
		return r.text.cut(err)
	case start == '[':
		return fault.At(r.text.line, "%w", pandasLayout("values", "lists without the names of columns"))
	}
	if raw, err := r.text.value(); err == nil {
		r.peek(raw)
	}
	return nil
}

func (r *jsonArray) close() error { return r.text.text.Close() }

func (r *jsonArray) next() (Record, error) {
	if r.ended {
		return Record{}, io.EOF
	}
	b, err := r.text.peek()
	if err != nil {
		return Record{}, r.text.cut(err)
	}
	switch {
	case b == ']':
		r.ended = true
		r.text.consume(1)
		if err := r.end(); err != nil {
			return Record{}, err
		}
		return Record{}, io.EOF
	case r.started:
		if err := r.text.expect(','); err != nil {
			return Record{}, err
		}
		if b, err := r.text.peek(); err == nil && b == ']' {
			return Record{}, fault.At(r.text.line, "a comma stands before the end of the list of rows")
		}
	}
	r.started = true
	return r.text.record(&r.jsonRows)
}

// end reads what follows the array.
func (r *jsonArray) end() error {
	for r.inObject {
		b, err := r.text.peek()
		if err != nil {
			return r.text.cut(err)
		}
		if b == '}' {
			r.text.consume(1)
			break
		}
		if err := r.text.expect(','); err != nil {
			return err
		}
		k, err := findKey(r.text)
		if err != nil {
			return err
		}
		if err := k.moreRows(r.text.line); err != nil {
			return err
		}
		if err := r.text.skip(k.depth()); err != nil {
			return err
		}
	}
	switch b, err := r.text.peek(); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return err
	default:
		return fault.At(r.text.line, "%q follows the rows; nothing may follow them", b)
	}
}
