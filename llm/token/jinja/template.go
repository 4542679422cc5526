package jinja

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tunebus/tunebus/llm/token/jinja/builtin"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
	"github.com/tunebus/tunebus/llm/token/jinja/syntax"
)

// Limits bound a rendering. A field that is zero has its default.
type Limits struct {
	Steps  int // 10 million: about a second
	Bytes  int // 256 MiB of texts and lists that are made on the way
	Output int // 64 MiB
}

const (
	defaultSteps  = 10_000_000
	defaultBytes  = 256 << 20
	defaultOutput = 64 << 20
)

// Template is a template that was read.
type Template struct {
	tree *syntax.Tree
}

// New reads the source of a template. The error names the line, and the
// construct if it is one that is not supported.
func New(source string) (*Template, error) {
	tree, err := syntax.Parse(source, syntax.Language{Refused: builtin.Refused, Known: builtin.Known})
	if err != nil {
		return nil, err
	}
	return &Template{tree: tree}, nil
}

// Reads reports whether the template reads a variable.
func (t *Template) Reads(name string) bool { return t.tree.Names[name] }

// Input is what a template renders.
type Input struct {
	// Variables are what it sees, beside the functions of the language.
	Variables map[string]python.Value
	// Now is what strftime_now tells. The zero time makes it undefined.
	Now    time.Time
	Limits Limits
}

// Output is what a template wrote.
type Output struct {
	Text string
	// Generated are the bytes, from and to, of the blocks generation.
	Generated [][2]int
}

// ErrLimit is wrapped by the error of a rendering that exceeds a bound.
var ErrLimit = errors.New("the template exceeds a bound")

// Error says why a template could not be rendered. Kind is the name of the
// exception in Python: TemplateError if the template itself called
// raise_exception.
type Error struct {
	Line          int
	Kind, Message string
}

// Error is the message of raise_exception as it is, and else with the line and
// the kind.
func (e *Error) Error() string {
	if e.Kind == builtin.RaisedByTemplate {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s: %s", e.Line, e.Kind, e.Message)
}

// Render runs the template. The error is an *Error, or wraps ErrLimit.
func (t *Template) Render(in Input) (out Output, err error) {
	r := newRun(in)
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case *python.Error:
			err = &Error{Line: r.line, Kind: fault.Kind, Message: fault.Message}
		case *python.LimitError:
			err = fmt.Errorf("%w, near line %d: %w", ErrLimit, r.line, fault)
		default:
			// A template is somebody else's; a fault of this engine that only
			// one of them meets is no reason for the program to end.
			err = &Error{Line: r.line, Kind: "fault of the template engine", Message: fmt.Sprint(fault)}
		}
		if err != nil {
			out = Output{}
		}
	}()
	r.run(t.tree.Body, newScope(nil))
	return Output{Text: r.out.String(), Generated: r.generated}, nil
}

func newRun(in Input) *run {
	limits := in.Limits
	if limits.Steps <= 0 {
		limits.Steps = defaultSteps
	}
	if limits.Bytes <= 0 {
		limits.Bytes = defaultBytes
	}
	if limits.Output <= 0 {
		limits.Output = defaultOutput
	}
	r := &run{
		Env:     &builtin.Env{M: python.NewMeter(limits.Steps, limits.Bytes)},
		output:  limits.Output,
		out:     &strings.Builder{},
		context: in.Variables,
	}
	r.globals = r.Functions(in.Now)
	r.root = r.out
	return r
}

// run is one rendering.
type run struct {
	*builtin.Env
	output    int
	out, root *strings.Builder
	generated [][2]int
	context   map[string]python.Value
	globals   map[string]python.Value
	line      int
	nesting   int // of evaluations
	calls     int // of macros
	// beginnings is not nil if several beginnings of the messages are rendered. Then
	// base bytes stand before what is in root.
	beginnings *beginnings
	base       int
}

// maxNesting bounds the evaluations within each other, which cost stack.
const maxNesting = 10_000

// maxCalls bounds the macros and recursive loops within each other. Python
// gives up a little later.
const maxCalls = 200

// call counts a macro or a recursive loop; the result undoes it.
func (r *run) call() func() {
	if r.calls++; r.calls > maxCalls {
		python.Raise("RecursionError", "macros or recursive loops call each other more than %d deep", maxCalls)
	}
	return func() { r.calls-- }
}

// write adds to the output.
func (r *run) write(s string) {
	r.M.Alloc(len(s))
	if r.out == r.root && len(s) > r.output-r.base-r.root.Len() {
		panic(&python.LimitError{What: "bytes of output", Limit: r.output})
	}
	r.out.WriteString(s)
}

// capture is what fn writes.
func (r *run) capture(fn func()) string {
	before := r.out
	r.out = &strings.Builder{}
	fn()
	s := r.out.String()
	r.out = before
	return s
}

// scope holds variables; what it does not have, the one around it may. There
// are few in most, and a loop makes one per item, which a map is slow for.
type scope struct {
	vars   []variable
	index  map[string]int // once there are many
	around *scope
}

type variable struct {
	name  string
	value python.Value
}

// manyVariables is from where on a scope has an index.
const manyVariables = 16

func newScope(around *scope) *scope { return &scope{around: around} }

// find is where a variable is; -1 without it.
func (s *scope) find(name string) int {
	if s.index != nil {
		if i, ok := s.index[name]; ok {
			return i
		}
		return -1
	}
	for i := range s.vars {
		if s.vars[i].name == name {
			return i
		}
	}
	return -1
}

func (s *scope) set(name string, v python.Value) {
	if i := s.find(name); i >= 0 {
		s.vars[i].value = v
		return
	}
	s.vars = append(s.vars, variable{name, v})
	switch {
	case s.index != nil:
		s.index[name] = len(s.vars) - 1
	case len(s.vars) == manyVariables:
		s.index = map[string]int{}
		for i := range s.vars {
			s.index[s.vars[i].name] = i
		}
	}
}

// lookup finds a variable, one of the caller, or a function.
func (s *scope) lookup(r *run, name string) python.Value {
	for ; s != nil; s = s.around {
		if i := s.find(name); i >= 0 {
			return s.vars[i].value
		}
	}
	if v, ok := r.context[name]; ok {
		return v
	}
	if v, ok := r.globals[name]; ok {
		return v
	}
	return builtin.Undefined("'%s' is undefined", name)
}
