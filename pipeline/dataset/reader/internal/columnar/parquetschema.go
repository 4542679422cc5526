package columnar

import (
	"errors"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

type shape uint8

const (
	leaf   shape = iota
	group        // a structure
	list         // has one child, which is repeated
	keyMap       // has one child, which is repeated and has a text as key, and a value
)

// node is a part of the schema.
type node struct {
	name     string
	shape    shape
	repeated bool // occurs any number of times, also outside of a list
	// unwrap means that a list's repeated child only holds the element, as its
	// single field.
	unwrap     bool
	definition int // level at which the node has a value
	repetition int // level at which the node repeats
	children   []*node
	column     *parquet.Column // of a leaf
	convert    convert         // of a leaf
	isText     bool            // of a leaf
	below      []*node         // the leaves below, or the leaf itself
}

func (n *node) leaves() []*node { return n.below }

// schemaElements are the elements of a schema in the order of its tree. They have
// more than parquet-go's columns: the logical type FLOAT16.
type schemaElements struct {
	elements []format.SchemaElement
	next     int
}

// buildNodes returns the children of a column.
func buildNodes(c *parquet.Column, s *schemaElements) ([]*node, error) {
	var nodes []*node
	for _, child := range c.Columns() {
		if s.next >= len(s.elements) {
			return nil, errors.New("the schema is damaged: it has too few elements")
		}
		element := &s.elements[s.next]
		s.next++
		n := &node{
			name: child.Name(), repeated: child.Repeated(),
			definition: child.MaxDefinitionLevel(), repetition: child.MaxRepetitionLevel(),
		}
		if child.Leaf() {
			n.column, n.convert, n.below = child, conversionOf(element), []*node{n}
			n.isText = isText(element)
			nodes = append(nodes, n)
			continue
		}
		var err error
		if n.children, err = buildNodes(child, s); err != nil {
			return nil, err
		}
		for _, grandchild := range n.children {
			n.below = append(n.below, grandchild.below...)
		}
		n.shape = shapeOf(element, n)
		if n.shape == list {
			n.unwrap = isWrapper(n)
		}
		nodes = append(nodes, n)
	}
	return nodes, nil
}

// shapeOf tells a list and a map from a structure. Source: Parquet format,
// LogicalTypes.md, "Nested Types".
func shapeOf(e *format.SchemaElement, n *node) shape {
	if len(n.children) != 1 || !n.children[0].repeated {
		return group
	}
	isA := func(t deprecated.ConvertedType) bool { return e.ConvertedType.Valid && e.ConvertedType.V == t }
	switch e.LogicalType.Value.(type) {
	case *format.ListType:
		return list
	case *format.MapType:
		return mapOrList(n)
	}
	switch {
	case isA(deprecated.List):
		return list
	case isA(deprecated.Map), isA(deprecated.MapKeyValue):
		return mapOrList(n)
	}
	return group
}

// mapOrList is a list of entries if the keys are no texts.
func mapOrList(n *node) shape {
	if entry := n.children[0]; entry.shape == group && len(entry.children) == 2 && entry.children[0].isText {
		return keyMap
	}
	return list
}

// isWrapper reports whether the repeated child of a list is a group that only
// holds the element. Source: LogicalTypes.md, "Lists: Backward-compatibility rules".
func isWrapper(n *node) bool {
	child := n.children[0]
	switch {
	case child.shape != group, len(child.children) != 1, child.children[0].repeated:
		return false
	}
	return !slices.Contains([]string{"array", n.name + "_tuple"}, child.name)
}
