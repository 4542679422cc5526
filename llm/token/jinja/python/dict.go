package python

import (
	"math"
	"strconv"
	"strings"
)

// Dict is a dict: its keys keep the order in which they came.
type Dict struct {
	keys, values []Value
	index        map[any]int
}

// NewDict is an empty dict.
func NewDict() *Dict { return &Dict{index: map[any]int{}} }

// DictOf is a dict of keys and values in turn.
func DictOf(pairs ...Value) *Dict {
	d := NewDict()
	for i := 0; i+1 < len(pairs); i += 2 {
		d.Set(pairs[i], pairs[i+1])
	}
	return d
}

// Len is the number of keys.
func (d *Dict) Len() int { return len(d.keys) }

// At is the key and the value at a position.
func (d *Dict) At(i int) (key, value Value) { return d.keys[i], d.values[i] }

// Get is the value of a key.
func (d *Dict) Get(key Value) (Value, bool) {
	i, ok := d.index[hash(key)]
	if !ok {
		return nil, false
	}
	return d.values[i], true
}

// Set gives a key its value. A key that is there keeps its place.
func (d *Dict) Set(key, value Value) {
	h := hash(key)
	if i, ok := d.index[h]; ok {
		d.values[i] = value
		return
	}
	d.index[h] = len(d.keys)
	d.keys = append(d.keys, key)
	d.values = append(d.values, value)
}

// Copy is a dict with the same keys and values.
func (d *Dict) Copy(m *Meter) *Dict {
	m.Alloc(64 * d.Len())
	out := NewDict()
	for i, k := range d.keys {
		out.Set(k, d.values[i])
	}
	return out
}

// Update sets what dict(v) would hold: the pairs of a dict, or of a list of
// pairs.
func (d *Dict) Update(m *Meter, v Value) {
	if other, ok := v.(*Dict); ok {
		m.Alloc(64 * other.Len())
		for i, k := range other.keys {
			d.Set(k, other.values[i])
		}
		return
	}
	for _, pair := range Items(m, v) {
		kv := Items(m, pair)
		if len(kv) != 2 {
			Raise("ValueError", "a dictionary is made of pairs; one has length %d", len(kv))
		}
		m.Alloc(64)
		d.Set(kv[0], kv[1])
	}
}

// hash is what equal keys have in common.
func hash(v Value) any { return hashAt(v, 0) }

func hashAt(v Value, depth int) any {
	if depth > MaxDepth {
		Raise("RecursionError", "a key is nested more than %d deep", MaxDepth)
	}
	switch v := v.(type) {
	case nil:
		return struct{ none bool }{}
	case bool:
		i, _ := Int(v)
		return i
	case int64, string:
		return v
	case Markup:
		return string(v)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<62 {
			return int64(v)
		}
		return v
	case *Tuple:
		var b strings.Builder
		for _, item := range v.Items {
			part := ""
			switch h := hashAt(item, depth+1).(type) {
			case int64:
				part = "i" + strconv.FormatInt(h, 10)
			case string:
				part = "s" + h
			case float64:
				part = "f" + FloatRepr(h)
			case tupleHash:
				part = "t" + string(h)
			case struct{ none bool }:
				part = "n"
			default:
				Unsupported("this value in a tuple that is a key: %s", TypeName(item))
			}
			b.WriteString(strconv.Itoa(len(part)) + ":" + part)
			if b.Len() > 1<<20 {
				Unsupported("a tuple of more than 1 MiB as a key")
			}
		}
		return tupleHash(b.String())
	case *Undefined:
		return struct{ undefined bool }{}
	case *List, *Dict:
		typeError("unhashable type: '%s'", TypeName(v))
	}
	return v // by its address
}

type tupleHash string
