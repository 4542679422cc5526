package jinja

import (
	"fmt"

	"github.com/tunebus/tunebus/llm/token/jinja/builtin"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// loopContext is the variable loop.
type loopContext struct {
	r       *run
	it      *python.Iter
	index   int64 // from 0
	depth   int64 // from 0
	length  int
	sized   bool
	current python.Value
	before  python.Value
	ahead   []python.Value // items that were taken early
	ended   bool
	changed *python.Tuple
	recurse func(python.Value) python.Value
	next    func() // is told that somebody looks at the next item; may be nil
}

// advance goes to the next item.
func (l *loopContext) advance() bool {
	if !l.peek() {
		return false
	}
	l.index++
	l.before, l.current = l.current, l.ahead[0]
	l.ahead = l.ahead[1:]
	return true
}

// peek takes the next item early; false if there is none.
func (l *loopContext) peek() bool {
	if len(l.ahead) > 0 {
		return true
	}
	if l.ended {
		return false
	}
	v, ok := l.it.Next()
	if !ok {
		l.ended = true
		return false
	}
	l.ahead = append(l.ahead[:0], v)
	return true
}

// Length is loop.length, for which all items are taken.
func (l *loopContext) Length(*python.Meter) int {
	if !l.sized {
		for v, ok := l.it.Next(); ok; v, ok = l.it.Next() {
			l.r.M.Alloc(16)
			l.ahead = append(l.ahead, v)
		}
		l.ended = true
		l.length = int(l.index) + 1 + len(l.ahead)
		l.sized = true
	}
	return l.length
}

// TypeName is the one in Jinja.
func (l *loopContext) TypeName() string { return "LoopContext" }

// Text is what it prints as.
func (l *loopContext) Text(m *python.Meter) string {
	return fmt.Sprintf("<LoopContext %d/%d>", l.index+1, l.Length(m))
}

// Attr is an attribute of loop.
func (l *loopContext) Attr(m *python.Meter, name string) (python.Value, bool) {
	switch name {
	case "index":
		return l.index + 1, true
	case "index0":
		return l.index, true
	case "revindex":
		return int64(l.Length(m)) - l.index, true
	case "revindex0":
		return int64(l.Length(m)) - l.index - 1, true
	case "first":
		return l.index == 0, true
	case "last":
		return !l.peek(), true
	case "length":
		return int64(l.Length(m)), true
	case "depth":
		return l.depth + 1, true
	case "depth0":
		return l.depth, true
	case "previtem":
		if l.index == 0 {
			return builtin.Undefined("there is no previous item"), true
		}
		return l.before, true
	case "nextitem":
		if !l.peek() {
			return builtin.Undefined("there is no next item"), true
		}
		if l.next != nil {
			l.next()
		}
		return l.ahead[0], true
	case "cycle":
		return &python.Func{Name: name, Fn: func(_ *python.Meter, a python.Args) python.Value {
			n := int64(len(a.Positional))
			if n == 0 {
				python.Raise("TypeError", "no items for cycling given")
			}
			return a.Positional[l.index%n]
		}}, true
	case "changed":
		return &python.Func{Name: name, Fn: func(m *python.Meter, a python.Args) python.Value {
			now := python.NewTuple(a.Positional...)
			if l.changed != nil && python.Equal(m, l.changed, now) {
				return false
			}
			l.changed = now
			return true
		}}, true
	}
	return nil, false
}

// Call runs a recursive loop over other items.
func (l *loopContext) Call(_ *python.Meter, a python.Args) python.Value {
	if l.recurse == nil {
		python.Raise("TypeError", "The loop must have the 'recursive' marker to be called recursively.")
	}
	return l.recurse(a.Bind("loop", 1, "iterable")[0])
}
