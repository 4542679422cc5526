package structconf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// ParseTOML reads a file and where its keys stand. A fault of the syntax
// hides what stands behind it, so there is one at most.
func ParseTOML(file string, body []byte) (Tree, Faults) {
	t := Tree{Sections: map[string]any{}, At: map[string]Position{}}
	if err := toml.Unmarshal(body, &t.Sections); err != nil {
		f := Fault{File: file, Key: "syntax", Message: err.Error()}
		var d *toml.DecodeError
		if errors.As(err, &d) {
			f.Line, f.Column = d.Position()
			f.Message = strings.TrimPrefix(d.Error(), "toml: ")
		}
		return Tree{}, Faults{f}
	}
	positions(file, body, t.At)
	return t, nil
}

// positions notes where each section and key stands. The file was parsed
// before, so that the parser finds nothing wrong here.
func positions(file string, body []byte, at map[string]Position) {
	var p unstable.Parser
	p.Reset(body)
	section := ""
	for p.NextExpression() {
		e := p.Expression()
		if e.Kind != unstable.Table && e.Kind != unstable.ArrayTable && e.Kind != unstable.KeyValue {
			continue
		}
		var parts []string
		var where Position
		for it := e.Key(); it.Next(); {
			if len(parts) == 0 {
				s := p.Shape(it.Node().Raw).Start
				where = Position{File: file, Line: s.Line, Column: s.Column}
			}
			parts = append(parts, string(it.Node().Data))
		}
		path := strings.Join(parts, ".")
		if e.Kind == unstable.KeyValue {
			if section != "" {
				path = section + "." + path
			}
		} else {
			section = path
		}
		if _, ok := at[path]; !ok {
			at[path] = where
		}
	}
}

// ParseJSON reads a JSON object of sections.
func ParseJSON(body []byte) (Tree, Faults) {
	t := Tree{Sections: map[string]any{}}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if len(bytes.TrimSpace(body)) == 0 {
		return t, nil
	}
	if err := d.Decode(&t.Sections); err != nil {
		return Tree{}, Faults{{Key: "specification", Message: fmt.Sprintf("want a JSON object of sections: %v", err)}}
	}
	return t, nil
}

// FromFlag stands in place of a file where a flag gave the value.
const FromFlag = "--set"

// Set puts section.key=value into the tree, as a flag gives it, or
// section.key.entry=value for one entry of a table. The value is read as TOML
// if it can be, else as text.
func (t *Tree) Set(assignment string) *Fault {
	path, value, ok := strings.Cut(assignment, "=")
	section, key, dotted := strings.Cut(strings.TrimSpace(path), ".")
	if !ok || !dotted {
		return &Fault{Key: assignment, Message: "want section.key=value"}
	}
	if t.Sections == nil {
		t.Sections = map[string]any{}
	}
	if t.At == nil {
		t.At = map[string]Position{}
	}
	table, _ := t.Sections[section].(map[string]any)
	if table == nil {
		table = map[string]any{}
		t.Sections[section] = table
	}
	var parsed struct{ V any }
	if toml.Unmarshal([]byte("V = "+value), &parsed) != nil {
		parsed.V = strings.TrimSpace(value)
	}
	put(table, key, parsed.V)
	t.At[section+"."+key] = Position{File: FromFlag}
	return nil
}

// put sets a key. A table that is set as a whole is all there is of it:
// entries that were set before it are gone.
func put(table map[string]any, key string, value any) {
	for k := range table {
		if strings.HasPrefix(k, key+".") {
			delete(table, k)
		}
	}
	table[key] = value
}

// Merge puts what other has over what t has, key by key.
func (t *Tree) Merge(other Tree) {
	if t.Sections == nil {
		t.Sections = map[string]any{}
	}
	if t.At == nil {
		t.At = map[string]Position{}
	}
	for section, v := range other.Sections {
		mine, a := t.Sections[section].(map[string]any)
		theirs, b := v.(map[string]any)
		if !a || !b {
			t.Sections[section] = v
			continue
		}
		for _, k := range slices.Sorted(maps.Keys(theirs)) { // a table before its entries
			put(mine, k, theirs[k])
		}
	}
	for k, p := range other.At {
		t.At[k] = p
	}
}
