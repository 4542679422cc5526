// Package pyjson writes JSON as Python's json.dumps does, and reads JSON into
// the values of package python.
package pyjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// Options are the arguments of json.dumps.
type Options struct {
	ASCII      bool
	Indent     python.Value // None, a number or a text
	Separators python.Value // None, or a pair of texts
	SortKeys   bool
}

// dumper writes JSON as Python does.
type dumper struct {
	Options
	m           *python.Meter
	b           strings.Builder
	item, colon string
	indent      string
	lines       bool
}

// Dumps is json.dumps(v).
func Dumps(m *python.Meter, v python.Value, how Options) string {
	d := &dumper{Options: how, m: m, item: ", ", colon: ": "}
	if how.Indent != nil {
		d.item, d.lines = ",", true
		if n, ok := python.Int(how.Indent); ok {
			if n > 1000 {
				python.Unsupported("an indent of more than 1000 blanks")
			}
			d.indent = strings.Repeat(" ", int(max(n, 0)))
		} else if s, ok := how.Indent.(string); ok {
			d.indent = s
		} else {
			python.Raise("TypeError", "the indent of tojson is a number or a text, not %s", python.TypeName(how.Indent))
		}
	}
	if how.Separators != nil {
		pair := python.Items(m, how.Separators)
		if len(pair) != 2 {
			python.Raise("ValueError", "the separators of tojson are two texts")
		}
		var ok, also bool
		d.item, ok = pair[0].(string)
		d.colon, also = pair[1].(string)
		if !ok || !also {
			python.Raise("TypeError", "the separators of tojson are two texts")
		}
	}
	d.value(v, 0)
	return d.b.String()
}

func (d *dumper) write(s string) {
	d.m.Alloc(len(s))
	d.b.WriteString(s)
}

func (d *dumper) value(v python.Value, level int) {
	defer d.m.Enter()()
	switch v := v.(type) {
	case nil:
		d.write("null")
	case bool:
		d.write(strconv.FormatBool(v))
	case int64:
		d.write(strconv.FormatInt(v, 10))
	case float64:
		d.write(jsonFloat(v))
	case string:
		d.text(v)
	case python.Markup:
		d.text(string(v))
	case *python.List:
		d.list(v.Items, level)
	case *python.Tuple:
		d.list(v.Items, level)
	case *python.Dict:
		d.dict(v, level)
	default:
		python.Raise("TypeError", "Object of type %s is not JSON serializable", python.TypeName(v))
	}
}

func jsonFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	}
	return python.FloatRepr(f)
}

// line breaks a line in front of an item of a level.
func (d *dumper) line(level int) {
	if d.lines {
		d.write("\n" + strings.Repeat(d.indent, level))
	}
}

func (d *dumper) list(items []python.Value, level int) {
	if len(items) == 0 {
		d.write("[]")
		return
	}
	d.write("[")
	for i, item := range items {
		if i > 0 {
			d.write(d.item)
		}
		d.line(level + 1)
		d.value(item, level+1)
	}
	d.line(level)
	d.write("]")
}

func (d *dumper) dict(v *python.Dict, level int) {
	if v.Len() == 0 {
		d.write("{}")
		return
	}
	order := make([]int, v.Len())
	for i := range order {
		order[i] = i
	}
	if d.SortKeys {
		slices.SortStableFunc(order, func(i, j int) int {
			x, _ := v.At(i)
			y, _ := v.At(j)
			switch {
			case python.Less(d.m, "<", x, y):
				return -1
			case python.Less(d.m, "<", y, x):
				return 1
			}
			return 0
		})
	}
	d.write("{")
	for n, i := range order {
		if n > 0 {
			d.write(d.item)
		}
		d.line(level + 1)
		key, value := v.At(i)
		switch k := key.(type) {
		case string:
			d.text(k)
		case python.Markup:
			d.text(string(k))
		case float64:
			d.text(jsonFloat(k))
		case nil:
			d.text("null")
		case bool:
			d.text(strconv.FormatBool(k))
		case int64:
			d.text(strconv.FormatInt(k, 10))
		default:
			python.Raise("TypeError", "keys must be str, int, float, bool or None, not %s", python.TypeName(k))
		}
		d.write(d.colon)
		d.value(value, level+1)
	}
	d.line(level)
	d.write("}")
}

var jsonEscapes = map[rune]string{'"': "\\\"", '\\': "\\\\", '\n': "\\n", '\r': "\\r", '\t': "\\t", '\f': "\\f", '\b': "\\b"}

func (d *dumper) text(s string) {
	d.m.Alloc(len(s) + 2)
	d.b.WriteByte('"')
	for _, r := range s {
		switch e := jsonEscapes[r]; {
		case e != "":
			d.b.WriteString(e)
		case r < ' ' || d.ASCII && r > 0x7e && r < 0x10000:
			fmt.Fprintf(&d.b, "\\u%04x", r)
		case d.ASCII && r >= 0x10000:
			r -= 0x10000
			fmt.Fprintf(&d.b, "\\u%04x\\u%04x", 0xd800+r>>10, 0xdc00+r&0x3ff)
		default:
			d.b.WriteRune(r)
		}
	}
	d.b.WriteByte('"')
}

// FromJSON reads a value; the keys of objects keep their order.
func FromJSON(raw []byte) (python.Value, error) {
	if !utf8.Valid(raw) {
		return nil, errors.New("the JSON is not UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	v, err := decode(dec, 0)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more behind the JSON value")
	}
	return v, nil
}

func decode(dec *json.Decoder, depth int) (python.Value, error) {
	if depth > python.MaxDepth {
		return nil, fmt.Errorf("the JSON is nested more than %d deep", python.MaxDepth)
	}
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Number:
		return number(string(t))
	case json.Delim:
		list, dict := python.NewList(), python.NewDict()
		for dec.More() {
			var key string
			if t == '{' {
				k, err := dec.Token()
				if err != nil {
					return nil, err
				}
				key, _ = k.(string) // the decoder lets nothing else through
			}
			v, err := decode(dec, depth+1)
			if err != nil {
				return nil, err
			}
			if t == '{' {
				dict.Set(key, v)
			} else {
				list.Items = append(list.Items, v)
			}
		}
		if _, err := dec.Token(); err != nil {
			return nil, err
		}
		if t == '{' {
			return dict, nil
		}
		return list, nil
	}
	return t, nil
}

func number(s string) (python.Value, error) {
	if strings.ContainsAny(s, ".eE") {
		f, err := strconv.ParseFloat(s, 64)
		if err != nil && !math.IsInf(f, 0) {
			return nil, err
		}
		return f, nil
	}
	i, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the number %s does not fit into 64 bits", s)
	}
	return i, nil
}

// FromGo is the value of what encoding/json makes, or of this package's own
// values. The keys of maps are sorted.
func FromGo(v any) (python.Value, error) {
	switch v := v.(type) {
	case nil, bool, string, int64, float64, *python.List, *python.Tuple, *python.Dict:
		return v, nil
	case int:
		return int64(v), nil
	case json.RawMessage:
		return FromJSON(v)
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return FromJSON(raw)
}
