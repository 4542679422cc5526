package reader

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/dataset/reader/internal/fault"
)

// layout is what the first object of a .json file shows about the file.
type layout struct {
	// rowsInData: the key "data" has an array of objects, or nothing else is there.
	rowsInData bool
	// alone: nothing follows the object.
	alone bool
	keys  []keyLayout
}

// keyLayout is one key of an object, and how its value begins.
type keyLayout struct {
	name     string
	start    byte
	inner    byte   // how the first part of a list or an object begins
	innerKey string // of the first part of an object
}

// maxLayoutKeys limits the keys that are looked at; a file that is one object with
// more of them has the rows or their numbers as keys.
const maxLayoutKeys = 1000

// findLayout reads the first object. Where that is damaged, what was seen before
// counts; reading the records says what is wrong.
func findLayout(text *jsonText) (l layout) {
	if text.expect('{') != nil {
		return l
	}
	for {
		b, err := text.peek()
		if err != nil || b == '}' {
			break
		}
		if b == ',' && text.expect(',') != nil {
			return l
		}
		k, err := findKey(text)
		if err != nil {
			return l
		}
		if len(l.keys) < maxLayoutKeys {
			l.keys = append(l.keys, k)
		}
		if k.name == rowsKey && k.start == '[' && k.inner == '{' {
			l.rowsInData = true
			return l
		}
		if err := text.skip(k.depth()); err != nil {
			return l
		}
	}
	if text.expect('}') != nil {
		return l
	}
	_, err := text.peek()
	l.alone = err != nil
	if l.alone && len(l.keys) == 1 && l.keys[0].name == rowsKey && l.keys[0].start == '[' && l.keys[0].inner == ']' {
		l.rowsInData = true // no rows
	}
	return l
}

// findKey consumes a key and the start of its value.
func findKey(text *jsonText) (k keyLayout, err error) {
	if k.name, err = text.key(); err != nil {
		return k, err
	}
	if k.start, err = text.peek(); err != nil || k.start != '[' && k.start != '{' {
		return k, err
	}
	text.consume(1)
	if k.inner, err = text.peek(); err != nil || k.start != '{' || k.inner != '"' {
		return k, err
	}
	if k.innerKey, err = text.key(); err != nil {
		return k, err
	}
	k.inner, err = text.peek()
	return k, err
}

// depth is the number of brackets of the value that findKey consumed.
func (k keyLayout) depth() int {
	if k.start == '[' || k.start == '{' {
		return 1
	}
	return 0
}

// moreRows is an error if the key has rows and stands beside the list of rows.
func (k keyLayout) moreRows(line int) error {
	switch {
	case k.name == rowsKey:
		return fault.At(line, "the key %q occurs twice in one object", k.name)
	case k.start == '[' && k.inner == '{':
		return fault.At(line, "the key %q has rows, and so has %q; write each list to a file of its own", k.name, rowsKey)
	}
	return nil
}

// splitKeys are names below which people keep rows.
var splitKeys = []string{
	"train", "training", "validation", "valid", "val", "dev", "test", "testing", "eval",
	"rows", "records", "examples", "instances", "items", "samples", "questions",
}

// refused is an error if the file has its rows in a layout that is not read.
func (l layout) refused() error {
	if l.rowsInData {
		for i, k := range l.keys {
			if i == len(l.keys)-1 && k.name == rowsKey {
				break // the list of rows
			}
			if err := k.moreRows(0); err != nil {
				return err
			}
		}
		return nil
	}
	if !l.alone || len(l.keys) == 0 {
		return nil
	}
	all := func(is func(keyLayout) bool) bool {
		return !slices.ContainsFunc(l.keys, func(k keyLayout) bool { return !is(k) })
	}
	has := func(name string) bool {
		return slices.ContainsFunc(l.keys, func(k keyLayout) bool { return k.name == name && k.start == '[' })
	}
	switch {
	case has("columns") && has("data"):
		return pandasLayout("split", "columns, index and data apart")
	case all(func(k keyLayout) bool { return k.start == '{' && isNumber(k.name) }):
		return pandasLayout("index", "an object with the row numbers as keys")
	case all(func(k keyLayout) bool { return k.start == '{' && (isNumber(k.innerKey) || k.inner == '}') }):
		return pandasLayout("columns", "columns instead of rows")
	case all(func(k keyLayout) bool { return k.start == '[' && k.inner != '{' }):
		return fmt.Errorf("the file has columns instead of rows: a list for each of %s; "+
			"write a list of objects, or an object in each line of a .jsonl file", l.names())
	}
	for _, k := range l.keys {
		if k.start == '[' && k.inner == '{' && slices.Contains(splitKeys, strings.ToLower(k.name)) {
			return fmt.Errorf("the rows are below the key %q, and only below \"data\" they are read; "+
				"write them as a list of objects, or an object in each line of a .jsonl file", k.name)
		}
	}
	return nil
}

func (l layout) names() string {
	var names []string
	for i, k := range l.keys {
		if i == 3 {
			names = append(names, "…")
			break
		}
		names = append(names, fmt.Sprintf("%q", k.name))
	}
	return strings.Join(names, ", ")
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// pandasLayout names the argument orient with which pandas wrote the file.
func pandasLayout(orient, what string) error {
	return fmt.Errorf("the file has pandas' layout %q: %s; "+
		"write rows: df.to_json(\"FILE.jsonl\", orient=\"records\", lines=True)", orient, what)
}
