package structconf

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Position is the position of a key in a file. Lines and columns count from 1.
type Position struct {
	File         string
	Line, Column int
}

// Tree is a parsed file: its sections with keys and values as TOML or JSON have
// them, and the positions of the keys by section.key.
type Tree struct {
	Sections  map[string]any
	Positions map[string]Position

	// typed are the values of assignments that TOML takes for a number, a boolean or a
	// date, as a person typed them, by section.key.
	typed map[string]string
}

// Unknown removes the sections that are not among the known ones from the tree and
// returns a fault for each.
func (t Tree) Unknown(known []string) Faults {
	var faults Faults
	for _, section := range slices.Sorted(maps.Keys(t.Sections)) {
		if !slices.Contains(known, section) {
			faults = append(faults, t.fault(section, "", "", unknown("section", section, known)))
			delete(t.Sections, section)
		}
	}
	return faults
}

// Locate gives the faults of decoded values the positions of their keys, and
// returns them together with the faults of decoding, sorted. It omits a fault of a
// key that could not be decoded, because its value was never set.
func (t Tree) Locate(decoding, values Faults) Faults {
	all := slices.Clone(decoding)
	undecoded := map[string]bool{}
	for _, f := range decoding {
		undecoded[f.Key] = true
	}
	for _, f := range values {
		if undecoded[f.Key] {
			continue
		}
		p := t.position(f.Key)
		f.File, f.Line, f.Column = p.File, p.Line, p.Column
		all = append(all, f)
	}
	all.Sort()
	return all
}

// position returns the position of a key. An element has that of its list, an entry
// of a table without one that of its table, and a table without one that of its first
// entry.
func (t Tree) position(key string) Position {
	key, _, _ = strings.Cut(key, "[")
	if _, ok := t.Positions[key]; !ok {
		if p, ok := t.firstEntry(key); ok {
			return p
		}
	}
	for {
		p, ok := t.Positions[key]
		if ok || strings.Count(key, ".") < 2 {
			return p
		}
		key = key[:strings.LastIndexByte(key, '.')]
	}
}

// firstEntry returns the position of the first entry of a table.
func (t Tree) firstEntry(table string) (first Position, found bool) {
	if strings.Count(table, ".") != 1 {
		return Position{}, false
	}
	for key, p := range t.Positions {
		if strings.HasPrefix(key, table+".") && (!found || before(p, first)) {
			first, found = p, true
		}
	}
	return first, found
}

func before(a, b Position) bool {
	return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column)) < 0
}

func (t Tree) fault(key, value, allowed, message string) Fault {
	p := t.Positions[key]
	return Fault{
		File:    p.File,
		Line:    p.Line,
		Column:  p.Column,
		Key:     key,
		Value:   value,
		Allowed: allowed,
		Message: message,
	}
}

// FromFlag is the file name in the position of a key that was set by a flag.
const FromFlag = "--set"

// Set sets a key from an assignment such as a flag has: section.key=value, or
// section.key.entry=value for an entry of a table. The value is TOML if it is
// valid TOML, or else text. For a key that holds a text, so is a number, a boolean or a
// date: a file may have the name 123, true or nan.
func (t *Tree) Set(assignment string) *Fault {
	path, value, ok := strings.Cut(assignment, "=")
	section, key, dotted := strings.Cut(strings.TrimSpace(path), ".")
	if !ok || !dotted {
		return &Fault{Key: assignment, Message: "want section.key=value"}
	}
	if t.Sections == nil {
		t.Sections = map[string]any{}
	}
	if t.Positions == nil {
		t.Positions = map[string]Position{}
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
	t.Positions[section+"."+key] = Position{File: FromFlag}
	t.keepTyped(section+"."+key, parsed.V, strings.TrimSpace(value))
	return nil
}

// keepTyped keeps what a person typed, if TOML takes it for something else than a text.
func (t *Tree) keepTyped(path string, value any, typed string) {
	delete(t.typed, path)
	switch value.(type) {
	case string, []any, map[string]any, nil:
		return
	}
	if t.typed == nil {
		t.typed = map[string]string{}
	}
	t.typed[path] = typed
}

// put sets a key. Setting a whole table removes the entries that were set before.
func put(table map[string]any, key string, value any) {
	for k := range table {
		if strings.HasPrefix(k, key+".") {
			delete(table, k)
		}
	}
	table[key] = value
}

// Merge sets the keys that other has.
func (t *Tree) Merge(other Tree) {
	if t.Sections == nil {
		t.Sections = map[string]any{}
	}
	if t.Positions == nil {
		t.Positions = map[string]Position{}
	}
	for section, v := range other.Sections {
		own, isTable := t.Sections[section].(map[string]any)
		others, otherIsTable := v.(map[string]any)
		if !isTable || !otherIsTable {
			t.Sections[section] = v
			continue
		}
		for _, k := range slices.Sorted(maps.Keys(others)) { // sorted: a table before its entries
			put(own, k, others[k])
		}
	}
	for k, p := range other.Positions {
		t.Positions[k] = p
		delete(t.typed, k)
	}
	for k, typed := range other.typed {
		t.keepTyped(k, true, typed)
	}
}
