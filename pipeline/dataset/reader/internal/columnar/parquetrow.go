package columnar

import (
	"errors"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/tunebus/tunebus/pipeline/dataset/value"
)

// leveled is a value of a leaf with its levels.
type leveled struct {
	value                  value.Value
	definition, repetition int
}

// leafReader reads the values of a leaf, row by row.
type leafReader struct {
	node   *node
	pages  parquet.Pages
	page   parquet.Page
	values parquet.ValueReader
	buffer [128]parquet.Value
	ready  []parquet.Value
	row    []leveled // the rest of the values of the current row
	memory []leveled // that of row
}

func newLeafReader(n *node) *leafReader { return &leafReader{node: n} }

// read reads the values of the next row.
func (r *leafReader) read() error {
	r.memory = r.memory[:0]
	for {
		for len(r.ready) == 0 {
			err := r.fill()
			if err == io.EOF && len(r.memory) > 0 {
				r.row = r.memory
				return nil
			}
			if err == io.EOF {
				return errors.New("the column ends before the last row")
			}
			if err != nil {
				return err
			}
		}
		v := r.ready[0]
		if first := v.RepetitionLevel() == 0; first && len(r.memory) > 0 {
			r.row = r.memory
			return nil
		} else if !first && len(r.memory) == 0 {
			return errors.New("the file is damaged: a row begins in the middle of a list")
		}
		r.ready = r.ready[1:]
		l := leveled{definition: v.DefinitionLevel(), repetition: v.RepetitionLevel()}
		if !v.IsNull() {
			var err error
			if l.value, err = r.node.convert(v); err != nil {
				return err
			}
		}
		if r.memory = append(r.memory, l); len(r.memory) > value.MaxValues {
			return errTooManyValues
		}
		if r.node.repetition == 0 {
			r.row = r.memory
			return nil
		}
	}
}

func (r *leafReader) fill() (err error) {
	defer recoverDamage(&err)()
	if r.pages == nil {
		r.pages = r.node.column.Pages()
	}
	if r.page == nil {
		page, err := r.pages.ReadPage()
		if err != nil {
			return err
		}
		r.page, r.values = page, page.Values()
	}
	n, err := r.values.ReadValues(r.buffer[:])
	r.ready = r.buffer[:n]
	if err == io.EOF && n == 0 {
		// The values point into their page, so it cannot be released earlier.
		parquet.Release(r.page)
		r.page = nil
	}
	if err == io.EOF {
		err = nil
	}
	return err
}

func (r *leafReader) close() (err error) {
	defer recoverDamage(&err)()
	if r.page != nil {
		parquet.Release(r.page)
	}
	if r.pages == nil {
		return nil
	}
	return r.pages.Close()
}

var errLevels = errors.New("the file is damaged: the columns of a structure have different levels")

// peek returns the next value of the first leaf below a node.
func (p *Parquet) peek(n *node) (leveled, bool) {
	if len(n.below) == 0 {
		return leveled{}, false
	}
	r := p.columns[n.below[0]]
	if len(r.row) == 0 {
		return leveled{}, false
	}
	return r.row[0], true
}

// take removes one value of each leaf below a node.
func (p *Parquet) take(n *node) (first leveled, err error) {
	for i, leaf := range n.below {
		r := p.columns[leaf]
		if len(r.row) == 0 {
			return first, errLevels
		}
		if i == 0 {
			first = r.row[0]
		}
		r.row = r.row[1:]
	}
	return first, nil
}

// assemble builds the value of a node out of those of its leaves. Source: Dremel
// (Melnik et al. 2010), 4.3 "Record assembly".
func (p *Parquet) assemble(n *node) (value.Value, error) {
	if n.repeated {
		items, err := p.repeated(n)
		return value.OfList(items), err
	}
	return p.one(n)
}

// repeated builds the values of a node that repeats.
func (p *Parquet) repeated(n *node) ([]value.Value, error) {
	first, ok := p.peek(n)
	if !ok {
		return nil, errLevels
	}
	if first.definition < n.definition {
		_, err := p.take(n)
		return nil, err
	}
	var items []value.Value
	for {
		v, err := p.one(n)
		if err != nil {
			return nil, err
		}
		items = append(items, v)
		if next, ok := p.peek(n); !ok || next.repetition != n.repetition {
			return items, nil
		}
	}
}

// one builds one value of a node.
func (p *Parquet) one(n *node) (value.Value, error) {
	if n.shape == leaf {
		l, err := p.take(n)
		return l.value, err
	}
	first, ok := p.peek(n)
	if !ok && len(n.below) > 0 {
		return value.Value{}, errLevels
	}
	if ok && first.definition < n.definition {
		_, err := p.take(n)
		return value.Value{}, err
	}
	switch n.shape {
	case list, keyMap:
		items, err := p.repeated(n.children[0])
		if err != nil {
			return value.Value{}, err
		}
		if n.shape == keyMap {
			return mapValue(items), nil
		}
		if n.unwrap {
			for i, item := range items {
				for _, element := range item.Fields() {
					items[i] = element
				}
			}
		}
		return value.OfList(items), nil
	}
	fields := make([]value.Field, len(n.children))
	for i, child := range n.children {
		v, err := p.assemble(child)
		if err != nil {
			return value.Value{}, err
		}
		fields[i] = value.Field{Name: child.name, Value: v}
	}
	return value.OfObject(fields), nil
}

// mapValue turns entries of a text as key and a value into an object, if the keys
// differ; otherwise the entries stay a list.
func mapValue(entries []value.Value) value.Value {
	fields := make([]value.Field, 0, len(entries))
	known := make(map[string]bool, len(entries))
	for _, entry := range entries {
		var parts []value.Value
		for _, part := range entry.Fields() {
			parts = append(parts, part)
		}
		if len(parts) != 2 || parts[0].Kind() != value.Text {
			return value.OfList(entries)
		}
		name, err := parts[0].Text()
		if err != nil || known[name] {
			return value.OfList(entries)
		}
		known[name] = true
		fields = append(fields, value.Field{Name: name, Value: parts[1]})
	}
	return value.OfObject(fields)
}
