package jinja

import (
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/token/jinja/python"
	"github.com/tunebus/tunebus/llm/token/jinja/syntax"
)

// Ask names a beginning of a list.
type Ask struct {
	// Length is how many items it has, from 1.
	Length int
	// Last stands in place of its last item. nil: the item as it is.
	Last *python.Dict
}

// Beginning is what a template wrote for a beginning of a list.
type Beginning struct {
	// Trunk is a text that several beginnings share. The output has its first
	// Shared bytes, and then Rest.
	Trunk  *Trunk
	Shared int
	Rest   string

	marks int // of the trunk
	rest  [][2]int
}

// Trunk is a text that beginnings of several lengths begin with.
type Trunk struct {
	Text  string
	marks [][2]int
}

// Output is the whole of what the template wrote.
func (b Beginning) Output() Output {
	return Output{Text: b.Trunk.Text[:b.Shared] + b.Rest, Generated: slices.Concat(b.Trunk.marks[:b.marks], b.rest)}
}

// Beginnings renders several beginnings of a list of messages, each as [Template.Render]
// does. The variable "messages" is the list, whatever the input says. The items that
// beginnings share are rendered once, so that a list of n items takes the time of a few
// renderings, not of n.
//
// ok is false if this is not possible: the template writes an item by what comes after
// the next one, or something fails. Then [Template.Render] tells, or renders, each of
// them.
//
// A loop over the messages runs as if there were always a next item. Before each item
// that is the last one of a beginning, the run is forked: the fork knows how long its
// list is, finishes, and what it changed is undone.
func (t *Template) Beginnings(in Input, messages []python.Value, asks []Ask) (out map[Ask]Beginning, ok bool) {
	if len(asks) == 0 {
		return nil, true
	}
	r := newRun(in)
	r.context = maps.Clone(in.Variables)
	r.context["messages"] = &view{}
	asks = slices.Clone(asks)
	slices.SortStableFunc(asks, func(a, b Ask) int { return a.Length - b.Length })
	if asks[0].Length < 1 || asks[len(asks)-1].Length > len(messages) {
		return nil, false
	}
	p := &beginnings{
		run: r, top: newScope(nil), items: messages, asks: asks, trunk: &Trunk{},
		known: -1, least: asks[0].Length, seen: -1, out: make(map[Ask]Beginning, len(asks)),
		touched: map[*python.Namespace]*python.Dict{},
	}
	r.beginnings = p
	defer func() {
		// Whatever it is, the rendering of the one beginning tells it.
		if recover() != nil {
			out, ok = nil, false
		}
	}()
	p.body(t.tree.Body, func() {
		if p.known < 0 {
			panic(errDepends) // there is no loop over the messages
		}
	})
	return p.out, len(p.out) == len(asks)
}

// errDepends says that the template asks for what differs between the beginnings.
var errDepends = errors.New("the rendering depends on how long the list is")

// beginnings is a run that renders several beginnings.
type beginnings struct {
	run   *run
	top   *scope
	items []python.Value
	out   map[Ask]Beginning

	asks  []Ask  // that this part of the run is about, in ascending order
	trunk *Trunk // of this part
	known int    // the length of the list, in a fork; else -1
	least int    // the length that the list has at least
	seen  int    // the last item that the trunk depends on
	last  *python.Dict
	lists map[int]*python.List // the messages behind a position, once the length is known
	marks [][2]int             // of the trunk, in a fork
	// undo has the fields of namespaces as they were before a fork.
	undo map[*python.Namespace]*python.Dict
	// touched are the namespaces that changed, with their fields before that.
	touched map[*python.Namespace]*python.Dict
	// stopped, if it is there, takes forks that come to another loop over the messages.
	stopped *[]stopped
}

// stopped is a fork that waits before a loop over the messages.
type stopped struct {
	ask   Ask
	state state
	loop  *syntax.For
	over  *view
	rest  func()
}

// state is what a rendering knows at one place.
type state struct {
	text   string // in a fork: behind the trunk
	marks  [][2]int
	shared int
	vars   []variable
	fields map[*python.Namespace]*python.Dict
	meter  python.Meter
}

// equal reports whether what follows is the same in both states.
func (s state) equal(o state) bool {
	return s.text == o.text && s.shared == o.shared && slices.Equal(s.marks, o.marks) &&
		slices.EqualFunc(s.vars, o.vars, func(a, b variable) bool { return a.name == b.name && identical(a.value, b.value) }) &&
		maps.EqualFunc(s.fields, o.fields, func(a, b *python.Dict) bool {
			if a.Len() != b.Len() {
				return false
			}
			for i := range a.Len() {
				k, v := a.At(i)
				if other, w := b.At(i); k != other || !identical(v, w) {
					return false
				}
			}
			return true
		})
}

// body runs statements that stand in no loop, and then what follows.
func (p *beginnings) body(body []syntax.Stmt, then func()) {
	for i, stmt := range body {
		rest := func() { p.body(body[i+1:], then) }
		switch n := stmt.(type) {
		case *syntax.For:
			p.run.line = n.Line
			over := raw(p.run, n.Iter, p.top)
			if v, ok := over.(*view); ok {
				p.run.M.Step(1)
				p.loopOver(n, v, rest)
				return
			}
			p.run.M.Step(1)
			p.run.loop(n, p.top, over, 0)
		case *syntax.If:
			p.run.M.Step(1)
			if python.Truthy(p.run.eval(n.Test, p.top)) {
				p.body(n.Body, rest)
			} else {
				p.body(n.Else, rest)
			}
			return
		default:
			if p.run.statement(stmt, p.top) != goOn {
				panic(errDepends)
			}
		}
	}
	then()
}

// loopOver runs a loop over the messages.
func (p *beginnings) loopOver(n *syntax.For, over *view, rest func()) {
	if p.known >= 0 {
		if p.stopped != nil {
			*p.stopped = append(*p.stopped, stopped{state: p.state(), loop: n, over: over, rest: rest})
			return
		}
		p.run.loop(n, p.top, p.whole(over), 0)
		rest()
		return
	}
	var waiting []stopped
	p.stopped = &waiting
	p.trunkOf(n, over, rest)
	p.stopped = nil
	p.trunk.Text, p.trunk.marks = p.run.root.String(), p.run.generated
	p.resume(waiting)
}

// trunkOf runs a loop as if it never ended, and a fork for each end that is asked for.
func (p *beginnings) trunkOf(n *syntax.For, over *view, rest func()) {
	l := &loopContext{r: p.run, index: -1, it: &python.Iter{Name: "list_iterator", Next: func() (python.Value, bool) { panic(errDepends) }}}
	if n.Recursive {
		l.recurse = func(v python.Value) python.Value {
			defer p.run.call()()
			return p.run.capture(func() { p.run.loop(n, p.top, v, 1) })
		}
	}
	asks := p.asks
	for i := over.from; ; i++ {
		for len(asks) > 0 && asks[0].Length <= i+1 {
			p.fork(asks[0], func() {
				p.end(n, *l, i)
				rest()
			})
			asks = asks[1:]
		}
		if len(asks) == 0 {
			return
		}
		p.least = max(p.least, i+2)
		p.see(i)
		if n.Test == nil {
			l.ahead = []python.Value{p.items[i+1]}
			l.next = func() { p.see(i + 1) }
		}
		if p.step(n, l, p.items[i]) == breakLoop {
			for _, a := range asks {
				p.fork(a, rest)
			}
			return
		}
	}
}

// end runs the end of a loop in a fork: item i if the list has it, which is the last
// then, and what the loop runs if there was none.
func (p *beginnings) end(n *syntax.For, l loopContext, i int) {
	l.it, l.ahead, l.next, l.ended = python.Iterate(p.run.M, python.NewList()), nil, nil, true
	if i < p.known {
		p.step(n, &l, p.at(i))
	}
	if l.index < 0 && len(n.Else) > 0 {
		p.run.run(n.Else, newScope(p.top))
	}
}

// step runs the body of a loop for an item, if the loop takes it.
func (p *beginnings) step(n *syntax.For, l *loopContext, item python.Value) signal {
	p.run.M.Step(1)
	if n.Test != nil && !takes(p.run, n, p.top, item) {
		return goOn
	}
	l.index++
	l.before, l.current = l.current, item
	return iteration(p.run, n, p.top, l)
}

// fork runs what follows for one beginning, and undoes it.
func (p *beginnings) fork(a Ask, what func()) {
	if a.Last != nil && p.seen >= a.Length-1 {
		panic(errDepends)
	}
	if !p.run.M.Spare() {
		panic(errDepends) // it may be that the one rendering would exceed a bound
	}
	before := p.state()
	root, marks, line, waiting := p.run.root, p.run.generated, p.run.line, 0
	if p.stopped != nil {
		waiting = len(*p.stopped)
	}
	p.run.base, p.marks = root.Len(), marks
	p.run.root = &strings.Builder{}
	p.run.out, p.run.generated = p.run.root, nil
	p.known, p.last, p.lists, p.undo = a.Length, a.Last, nil, map[*python.Namespace]*python.Dict{}
	what()
	if p.stopped != nil && len(*p.stopped) > waiting {
		(*p.stopped)[waiting].ask = a
	} else {
		p.out[a] = Beginning{Trunk: p.trunk, Shared: p.run.base, Rest: p.run.root.String(), marks: len(marks), rest: p.run.generated}
	}
	for ns, fields := range p.undo {
		ns.Fields = fields
	}
	p.known, p.last, p.lists, p.undo, p.marks = -1, nil, nil, nil, nil
	p.run.root, p.run.out, p.run.generated, p.run.line, p.run.base = root, root, marks, line, 0
	p.setVars(before.vars)
	*p.run.M = before.meter
}

// mostTrunks bounds the trunks behind one loop. Where there are more, each beginning is a
// case of its own.
const mostTrunks = 16

// resume runs forks that stopped before another loop. Those of which nothing but the
// length of the list differs have a trunk of their own.
func (p *beginnings) resume(waiting []stopped) {
	var groups [][]stopped
	for i, w := range waiting {
		if i > 0 && w.follows(waiting[i-1]) {
			groups[len(groups)-1] = append(groups[len(groups)-1], w)
			continue
		}
		if groups = append(groups, []stopped{w}); len(groups) > mostTrunks {
			panic(errDepends)
		}
	}
	trunk := p.trunk
	for _, group := range groups {
		first := group[0]
		p.setVars(first.state.vars)
		for ns, fields := range p.touched {
			if then := first.state.fields[ns]; then != nil {
				fields = then
			}
			ns.Fields = fields.Copy(p.run.M)
		}
		*p.run.M = first.state.meter
		p.run.root = &strings.Builder{}
		p.run.root.WriteString(trunk.Text[:first.state.shared])
		p.run.root.WriteString(first.state.text)
		p.run.out = p.run.root
		p.run.generated = slices.Clone(first.state.marks)
		p.trunk, p.asks, p.least, p.seen = &Trunk{}, nil, first.ask.Length, -1
		for _, w := range group {
			p.asks = append(p.asks, w.ask)
		}
		p.loopOver(first.loop, first.over, first.rest)
	}
}

// follows reports whether a fork stopped where another did, with nothing different.
func (w stopped) follows(o stopped) bool {
	return w.loop == o.loop && *w.over == *o.over && w.state.equal(o.state)
}

// state is what the rendering knows now.
func (p *beginnings) state() state {
	s := state{vars: slices.Clone(p.top.vars), meter: *p.run.M}
	if p.known >= 0 {
		s.text, s.shared = p.run.root.String(), p.run.base
		s.marks = slices.Concat(p.marks, p.run.generated)
		s.fields = make(map[*python.Namespace]*python.Dict, len(p.touched))
		for ns := range p.touched {
			s.fields[ns] = ns.Fields.Copy(p.run.M)
		}
	}
	return s
}

func (p *beginnings) setVars(vars []variable) {
	p.top.vars, p.top.index = nil, nil
	for _, v := range vars {
		p.top.set(v.name, v.value)
	}
}
