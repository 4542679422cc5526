package dataset

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxRow is the longest line of a JSONL file in bytes, so that a file without
// line feeds is not read into memory.
const maxRow = 64 << 20

func readJSONL(path string, want []string, visit visitor) (_ []string, err error) {
	t, err := openText(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, t.Close()) }()
	lines := bufio.NewScanner(t)
	lines.Buffer(make([]byte, 0, 64<<10), maxRow)
	rows := newObjectDecoder(want)
	line := 0
	for lines.Scan() {
		line++
		row := bytes.TrimSpace(lines.Bytes())
		if len(row) == 0 {
			continue
		}
		if err := rows.parse(row); err != nil {
			return nil, &RowError{File: path, Line: line, Err: err}
		}
		if err := visit(line, rows.values); err != nil {
			return nil, err
		}
	}
	if err := lines.Err(); err != nil {
		return nil, &RowError{File: path, Line: line + 1, Err: err}
	}
	return rows.have, nil
}

// objectDecoder decodes rows that are JSON objects.
type objectDecoder struct {
	want   map[string][]int // the indexes in values of each column
	values []cell
	have   []string // all keys so far, in order
	known  map[string]bool
}

func newObjectDecoder(want []string) *objectDecoder {
	o := &objectDecoder{want: map[string][]int{}, values: make([]cell, len(want)), known: map[string]bool{}}
	for i, name := range want {
		if name != "" {
			o.want[name] = append(o.want[name], i)
		}
	}
	return o
}

// parse sets o.values.
func (o *objectDecoder) parse(row []byte) error {
	clear(o.values)
	d := json.NewDecoder(bytes.NewReader(row))
	start, err := d.Token()
	if err != nil {
		return jsonError(err)
	}
	if start != json.Delim('{') {
		return fmt.Errorf("the row is no JSON object: %.40q", row)
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return jsonError(err)
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return jsonError(err)
		}
		name, _ := key.(string) // a key is a string
		if !o.known[name] {
			o.known[name] = true
			o.have = append(o.have, name)
		}
		if indexes := o.want[name]; indexes != nil {
			v, err := jsonValue(raw)
			if err != nil {
				return fmt.Errorf("column %q: %w", name, err)
			}
			for _, i := range indexes {
				o.values[i] = v
			}
		}
	}
	if _, err := d.Token(); err != nil {
		return jsonError(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("something follows the row's JSON object")
	}
	return nil
}

// jsonValue returns the text of a JSON value: the content of a string, or else the
// JSON itself.
func jsonValue(raw json.RawMessage) (cell, error) {
	switch raw[0] {
	case 'n':
		return cell{}, nil
	case '"':
		var s string
		err := json.Unmarshal(raw, &s)
		return cell{text: s, present: true}, err
	case '{', '[':
		var compact bytes.Buffer
		err := json.Compact(&compact, raw)
		return cell{text: compact.String(), present: true}, err
	}
	return cell{text: string(raw), present: true}, nil
}

// jsonError replaces the errors for a row that ends too early.
func jsonError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errors.New("the JSON ends in the middle")
	}
	return err
}
