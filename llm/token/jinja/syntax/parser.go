package syntax

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/token/jinja/lexer"
)

// maxNesting bounds how deep blocks and expressions are nested, each of which
// costs stack.
const maxNesting = 150

// maxSource bounds the size of a template.
const maxSource = 4 << 20

// Language is what a template may name, for faults at load.
type Language struct {
	// Refused says of a filter ("filter pprint"), a test or a function why it
	// is not supported; "" if it is, or if nobody knows it.
	Refused func(what, name string) string
	// Known reports whether there is a filter or a test of this name.
	Known func(what, name string) bool
}

// Error says what is wrong with the source of a template, and in which line.
type Error = lexer.Error

// parser reads tokens into a tree.
type parser struct {
	tokens   []lexer.Token
	at       int
	depth    int
	language Language

	// soft counts the conditions around: a filter in one of them that nobody
	// knows fails when it is used, as in Jinja, since the condition may ask
	// for it.
	soft int
	// unknown are the faults of filters and tests that nobody knows. Those
	// before the word if of an expression are dropped once it is read.
	unknown []*Error

	loops int // around, within the same function
	// used are the special names that the function around reads.
	used map[string]bool
}

// Tree is a template.
type Tree struct {
	Body []Stmt
	// Names are those that it reads, variables among them.
	Names map[string]bool
}

// Parse reads the source of a template. The error is an *Error.
func Parse(source string, language Language) (tree *Tree, err error) {
	defer func() {
		switch fault := recover().(type) {
		case nil:
		case *Error:
			err = fault
		default:
			// A template is somebody else's; a fault of this engine that only
			// one of them meets is no reason for the program to end.
			err = &Error{Line: 1, Reason: fmt.Sprint("fault of the template engine: ", fault)}
		}
	}()
	if len(source) > maxSource {
		lexer.Fail(1, "the template is longer than %d bytes", maxSource)
	}
	p := &parser{tokens: lexer.Tokenize(source), language: language, used: map[string]bool{}}
	tree = &Tree{Body: parseStatements(p), Names: p.used}
	if len(p.unknown) > 0 {
		return nil, p.unknown[0]
	}
	return tree, nil
}

func (p *parser) current() lexer.Token { return p.tokens[p.at] }

func (p *parser) look() lexer.Token { return p.tokens[min(p.at+1, len(p.tokens)-1)] }

func (p *parser) next() lexer.Token {
	t := p.tokens[p.at]
	if p.at+1 < len(p.tokens) {
		p.at++
	}
	return t
}

// skip passes an operator if it is next.
func (p *parser) skip(op string) bool {
	if p.current().Is(op) {
		p.next()
		return true
	}
	return false
}

// skipWord passes a name if it is next.
func (p *parser) skipWord(w string) bool {
	if p.current().Word(w) {
		p.next()
		return true
	}
	return false
}

func (p *parser) expect(op string) {
	if t := p.next(); !t.Is(op) {
		lexer.Fail(t.Line, "%q is expected instead of %s", op, t)
	}
}

func (p *parser) expectKind(k lexer.Kind, what string) lexer.Token {
	t := p.next()
	if t.Kind != k {
		lexer.Fail(t.Line, "%s is expected instead of %s", what, t)
	}
	return t
}

// enter counts the nesting; the result undoes it.
func (p *parser) enter() func() {
	if p.depth++; p.depth > maxNesting {
		lexer.Fail(p.current().Line, "blocks and expressions are nested more than %d deep", maxNesting)
	}
	return func() { p.depth-- }
}

// parseStatements reads up to a block whose name is one of the ends, which stays
// the next token, or up to the end of the source.
func parseStatements(p *parser, ends ...string) []Stmt {
	defer p.enter()()
	var body []Stmt
	for {
		switch t := p.next(); t.Kind {
		case lexer.Data:
			body = append(body, &Text{t.Text})
		case lexer.OutputBegin:
			body = append(body, &Output{Exprs: []Expr{parseTuple(p, true, false)}, Line: t.Line})
			p.expectKind(lexer.OutputEnd, "the end of the output")
		case lexer.BlockBegin:
			if p.current().Kind == lexer.Name && slices.Contains(ends, p.current().Text) {
				return body
			}
			body = append(body, parseStatement(p, ends))
			p.expectKind(lexer.BlockEnd, "the end of the block")
		default:
			if len(ends) > 0 {
				lexer.Fail(t.Line, "the template ends before %s", strings.Join(ends, " or "))
			}
			return body
		}
	}
}

// parseBlock reads the body of a statement up to one of the ends, whose name it
// returns and passes.
func parseBlock(p *parser, ends ...string) ([]Stmt, string) {
	p.skip(":")
	p.expectKind(lexer.BlockEnd, "the end of the block")
	body := parseStatements(p, ends...)
	return body, p.next().Text
}

// refusedBlocks are those of Jinja that are not supported.
var refusedBlocks = []string{"block", "extends", "include", "import", "from", "autoescape"}

func parseStatement(p *parser, ends []string) Stmt {
	t := p.expectKind(lexer.Name, "the name of a block")
	switch t.Text {
	case "if":
		return parseCondition(p)
	case "for":
		return parseLoop(p, t.Line)
	case "set":
		return parseSet(p, t.Line)
	case "with":
		return parseWith(p, t.Line)
	case "macro":
		return parseMacro(p, t.Line)
	case "call":
		return parseCallBlock(p, t.Line)
	case "filter":
		f := parseFilter(p, nil, true).(*Filter)
		body, _ := parseBlock(p, "endfilter")
		return &FilterBlock{Filter: f, Body: body, Line: t.Line}
	case "print":
		out := &Output{Line: t.Line}
		for p.current().Kind != lexer.BlockEnd {
			if len(out.Exprs) > 0 {
				p.expect(",")
			}
			out.Exprs = append(out.Exprs, parseExpression(p))
		}
		return out
	case "generation":
		// It is a function of its own in transformers, which loops end at.
		loops := p.loops
		p.loops = 0
		body, _ := parseBlock(p, "endgeneration")
		p.loops = loops
		return &Generation{Body: body}
	case "break", "continue":
		if p.loops == 0 {
			lexer.Fail(t.Line, "the block %s stands outside of a loop", t.Text)
		}
		if t.Text == "break" {
			return &Break{}
		}
		return &Continue{}
	}
	if slices.Contains(refusedBlocks, t.Text) {
		lexer.Fail(t.Line, "the block %q is not supported in chat templates", t.Text)
	}
	if len(ends) > 0 {
		lexer.Fail(t.Line, "there is no block %q, and %s is still open", t.Text, strings.TrimPrefix(ends[len(ends)-1], "end"))
	}
	lexer.Fail(t.Line, "there is no block %q", t.Text)
	return nil
}

func parseCondition(p *parser) Stmt {
	defer p.enter()()
	p.soft++
	defer func() { p.soft-- }()
	out := &If{Test: parseTuple(p, false, false)}
	var end string
	out.Body, end = parseBlock(p, "elif", "else", "endif")
	switch end {
	case "elif":
		out.Else = []Stmt{parseCondition(p)}
	case "else":
		out.Else, _ = parseBlock(p, "endif")
	}
	return out
}

func parseLoop(p *parser, line int) Stmt {
	out := &For{Target: parseTarget(p, false, false), Line: line}
	if !p.skipWord("in") {
		lexer.Fail(p.current().Line, "the word in is expected instead of %s", p.current())
	}
	out.Iter = parseTuple(p, false, false, "recursive")
	if p.skipWord("if") {
		out.Test = parseExpression(p)
	}
	out.Recursive = p.skipWord("recursive")
	for _, n := range names(out.Target) {
		if n == "loop" {
			lexer.Fail(line, "a loop cannot assign its items to the name loop")
		}
	}
	p.loops++
	body, end := parseBlock(p, "endfor", "else")
	p.loops--
	out.Body = body
	if end == "else" {
		out.Else, _ = parseBlock(p, "endfor")
	}
	return out
}

// names are those of an assignment's target.
func names(target Expr) []string {
	switch t := target.(type) {
	case *Name:
		return []string{t.Name}
	case *Tuple:
		var out []string
		for _, item := range t.Items {
			out = append(out, names(item)...)
		}
		return out
	}
	return nil
}

func parseSet(p *parser, line int) Stmt {
	target := parseTarget(p, true, false)
	if p.skip("=") {
		return &Set{Target: target, Value: parseTuple(p, true, false), Line: line}
	}
	f, _ := parseFilter(p, nil, false).(*Filter)
	body, _ := parseBlock(p, "endset")
	return &SetBlock{Target: target, Filter: f, Body: body, Line: line}
}

func parseWith(p *parser, line int) Stmt {
	out := &With{Line: line}
	for p.current().Kind != lexer.BlockEnd {
		if len(out.Targets) > 0 {
			p.expect(",")
		}
		out.Targets = append(out.Targets, parseTarget(p, false, false))
		p.expect("=")
		out.Values = append(out.Values, parseExpression(p))
	}
	out.Body, _ = parseBlock(p, "endwith")
	return out
}

func parseMacro(p *parser, line int) Stmt {
	t := p.expectKind(lexer.Name, "the name of a macro")
	if slices.Contains(literals, t.Text) {
		lexer.Fail(line, "a macro cannot be called %s", t.Text)
	}
	fn := &Function{Line: line, Params: parseSignature(p)}
	parseFunction(p, fn, "endmacro")
	return &Macro{Name: t.Text, Fn: fn}
}

// parseFunction reads the body of a macro or a call block.
func parseFunction(p *parser, fn *Function, end string) {
	used, loops := p.used, p.loops
	p.used, p.loops = map[string]bool{}, 0
	fn.Body, _ = parseBlock(p, end)
	fn.Caller, fn.Varargs, fn.Kwargs = p.used["caller"], p.used["varargs"], p.used["kwargs"]
	for _, param := range fn.Params {
		switch param.Name {
		case "caller":
			if param.Default == nil && fn.Caller {
				lexer.Fail(fn.Line, "the parameter caller needs a default")
			}
			fn.Caller = false
		case "varargs":
			fn.Varargs = false
		case "kwargs":
			fn.Kwargs = false
		}
	}
	// What a function inside reads, the one around it has to have as well.
	for n := range p.used {
		used[n] = true
	}
	p.used, p.loops = used, loops
}

func parseSignature(p *parser) []Param {
	var out []Param
	p.expect("(")
	for !p.current().Is(")") {
		if len(out) > 0 {
			p.expect(",")
		}
		t := p.expectKind(lexer.Name, "the name of a parameter")
		if slices.Contains(literals, t.Text) {
			lexer.Fail(t.Line, "a parameter cannot be called %s", t.Text)
		}
		param := Param{Name: t.Text}
		if slices.ContainsFunc(out, func(o Param) bool { return o.Name == t.Text }) {
			lexer.Fail(t.Line, "the parameter %s is there twice", t.Text)
		}
		if p.skip("=") {
			param.Default = parseExpression(p)
		} else if len(out) > 0 && out[len(out)-1].Default != nil {
			lexer.Fail(t.Line, "the parameter %s without a default follows one with a default", t.Text)
		}
		out = append(out, param)
	}
	p.expect(")")
	return out
}

func parseCallBlock(p *parser, line int) Stmt {
	fn := &Function{Line: line}
	if p.current().Is("(") {
		fn.Params = parseSignature(p)
	}
	call, ok := parseExpression(p).(*Call)
	if !ok {
		lexer.Fail(line, "a call block needs a call")
	}
	parseFunction(p, fn, "endcall")
	return &CallBlock{Call: call, Fn: fn, Line: line}
}

// parseTarget reads what is assigned to.
func parseTarget(p *parser, fields, single bool, ends ...string) Expr {
	out := parseTupleOf(p, func(p *parser) Expr { return parseTargetItem(p, fields) }, false, append(ends, "in"))
	if t, ok := out.(*Tuple); ok && single {
		lexer.Fail(p.current().Line, "one name is expected instead of %d", len(t.Items))
	}
	return out
}

func parseTargetItem(p *parser, fields bool) Expr {
	defer p.enter()()
	t := p.next()
	if t.Is("(") {
		out := parseTupleOf(p, func(p *parser) Expr { return parseTargetItem(p, fields) }, true, nil)
		p.expect(")")
		return out
	}
	if t.Kind != lexer.Name || slices.Contains(literals, t.Text) {
		lexer.Fail(t.Line, "nothing can be assigned to %s", t)
	}
	if fields && p.skip(".") {
		return &Field{Object: t.Text, Name: p.expectKind(lexer.Name, "a name").Text, Line: t.Line}
	}
	return &Name{Name: t.Text}
}
