package syntax

import (
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/llm/token/jinja/lexer"
)

// literals are names that stand for values.
var literals = []string{"true", "false", "none", "True", "False", "None"}

// expression reads one that may be conditional.
func (p *parser) expression() Expr {
	defer p.enter()()
	unknown := len(p.unknown)
	out := p.or()
	for p.skipWord("if") {
		p.unknown = p.unknown[:unknown]
		p.soft++
		cond := &Cond{Test: p.or(), Then: out}
		if p.skipWord("else") {
			cond.Else = p.expression()
		}
		p.soft--
		out = cond
	}
	return out
}

// tuple reads expressions with commas between them; without commas it is the
// one expression.
func (p *parser) tuple(conditional, parentheses bool, ends ...string) Expr {
	one := p.or
	if conditional {
		one = p.expression
	}
	return p.tupleOf(one, parentheses, ends)
}

func (p *parser) tupleOf(one func() Expr, parentheses bool, ends []string) Expr {
	var items []Expr
	tuple := false
	for {
		if len(items) > 0 {
			p.expect(",")
		}
		t := p.current()
		if t.Kind == lexer.OutputEnd || t.Kind == lexer.BlockEnd || t.Is(")") || t.Kind == lexer.Name && slices.Contains(ends, t.Text) {
			break
		}
		items = append(items, one())
		if !p.current().Is(",") {
			break
		}
		tuple = true
	}
	if !tuple {
		if len(items) == 1 {
			return items[0]
		}
		if !parentheses {
			lexer.Fail(p.current().Line, "an expression is expected instead of %s", p.current())
		}
	}
	return &Tuple{Items: items}
}

func (p *parser) or() Expr {
	out := p.and()
	for p.current().Word("or") {
		line := p.next().Line
		out = &Binary{Op: "or", X: out, Y: p.and(), Line: line}
		p.long(out)
	}
	return out
}

func (p *parser) and() Expr {
	out := p.not()
	for p.current().Word("and") {
		line := p.next().Line
		out = &Binary{Op: "and", X: out, Y: p.not(), Line: line}
		p.long(out)
	}
	return out
}

func (p *parser) not() Expr {
	if t := p.current(); t.Word("not") {
		defer p.enter()()
		p.next()
		return &Unary{Op: "not", X: p.not(), Line: t.Line}
	}
	return p.compare()
}

var comparisons = []string{"==", "!=", "<", "<=", ">", ">="}

func (p *parser) compare() Expr {
	x := p.sum()
	out := &Compare{X: x, Line: p.current().Line}
	for {
		t := p.current()
		op := ""
		switch {
		case t.Kind == lexer.Operator && slices.Contains(comparisons, t.Text):
			op = t.Text
			p.next()
		case t.Word("in"):
			op = "in"
			p.next()
		case t.Word("not") && p.look().Word("in"):
			op = "not in"
			p.next()
			p.next()
		default:
			if len(out.Ops) == 0 {
				return x
			}
			return out
		}
		out.Ops = append(out.Ops, op)
		out.Ys = append(out.Ys, p.sum())
	}
}

// binary reads operators of one rank, from left to right.
func (p *parser) binary(operand func() Expr, ops ...string) Expr {
	out := operand()
	for p.current().Kind == lexer.Operator && slices.Contains(ops, p.current().Text) {
		t := p.next()
		out = &Binary{Op: t.Text, X: out, Y: operand(), Line: t.Line}
		p.long(out)
	}
	return out
}

// long bounds chains of operators, which nest to the left without a call of
// their own here.
func (p *parser) long(x Expr) {
	n := 0
	for b, ok := x.(*Binary); ok; b, ok = b.X.(*Binary) {
		if n++; n > 2000 {
			lexer.Fail(b.Line, "an expression has more than 2000 operators in a row")
		}
	}
}

func (p *parser) sum() Expr { return p.binary(p.concat, "+", "-") }

func (p *parser) concat() Expr {
	line := p.current().Line
	parts := []Expr{p.product()}
	for p.skip("~") {
		parts = append(parts, p.product())
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return &Concat{Parts: parts, Line: line}
}

func (p *parser) product() Expr { return p.binary(p.power, "*", "/", "//", "%") }

func (p *parser) power() Expr {
	return p.binary(func() Expr { return p.unary(true) }, "**")
}

func (p *parser) unary(filtered bool) Expr {
	defer p.enter()()
	var out Expr
	if t := p.current(); t.Is("-") || t.Is("+") {
		p.next()
		out = &Unary{Op: t.Text, X: p.unary(false), Line: t.Line}
	} else {
		out = p.primary()
	}
	out = p.postfix(out)
	if filtered {
		out = p.filters(out)
	}
	return out
}

func (p *parser) primary() Expr {
	t := p.next()
	switch {
	case t.Kind == lexer.Name:
		switch t.Text {
		case "true", "True":
			return &Const{true}
		case "false", "False":
			return &Const{false}
		case "none", "None":
			return &Const{nil}
		}
		p.used[t.Text] = true
		p.refuse(t.Line, "function", t.Text)
		return &Name{Name: t.Text}
	case t.Kind == lexer.Text:
		s := t.Text
		for p.current().Kind == lexer.Text {
			s += p.next().Text
		}
		return &Const{s}
	case t.Kind == lexer.Integer || t.Kind == lexer.Float:
		return &Const{t.Number}
	case t.Is("("):
		out := p.tuple(true, true)
		p.expect(")")
		return out
	case t.Is("["):
		out := &List{}
		p.items("]", func() { out.Items = append(out.Items, p.expression()) })
		return out
	case t.Is("{"):
		out := &Dict{Line: t.Line}
		p.items("}", func() {
			out.Keys = append(out.Keys, p.expression())
			p.expect(":")
			out.Values = append(out.Values, p.expression())
		})
		return out
	}
	lexer.Fail(t.Line, "an expression is expected instead of %s", t)
	return nil
}

// items reads what stands between brackets, with commas between, and one more
// at the end if somebody wrote it.
func (p *parser) items(end string, item func()) {
	for n := 0; !p.current().Is(end); n++ {
		if n > 0 {
			p.expect(",")
			if p.current().Is(end) {
				break
			}
		}
		item()
	}
	p.expect(end)
}

func (p *parser) postfix(x Expr) Expr {
	for links := 0; ; links++ {
		if links > maxNesting {
			lexer.Fail(p.current().Line, "an expression has more than %d links in a row", maxNesting)
		}
		switch t := p.current(); {
		case t.Is("."):
			p.next()
			switch a := p.next(); a.Kind {
			case lexer.Name:
				x = &Attr{X: x, Name: a.Text, Line: t.Line}
			case lexer.Integer:
				x = &Item{X: x, Index: &Const{a.Number}, Line: t.Line}
			default:
				lexer.Fail(a.Line, "a name or a number is expected instead of %s", a)
			}
		case t.Is("["):
			p.next()
			var parts []Expr
			for !p.current().Is("]") {
				if len(parts) > 0 {
					p.expect(",")
				}
				parts = append(parts, p.subscript())
			}
			p.expect("]")
			if len(parts) == 1 {
				x = &Item{X: x, Index: parts[0], Line: t.Line}
			} else {
				for _, part := range parts {
					if _, ok := part.(*Slice); ok {
						lexer.Fail(t.Line, "more than one slice in one pair of brackets is not supported")
					}
				}
				x = &Item{X: x, Index: &Tuple{Items: parts}, Line: t.Line}
			}
		case t.Is("("):
			x = p.call(x)
		default:
			return x
		}
	}
}

func (p *parser) call(x Expr) Expr {
	line := p.current().Line
	if a, ok := x.(*Attr); ok {
		p.refuse(line, "method", a.Name)
	}
	return &Call{Func: x, Args: p.args(), Line: line}
}

func (p *parser) subscript() Expr {
	part := func() Expr {
		if t := p.current(); t.Is(":") || t.Is("]") || t.Is(",") {
			return nil
		}
		return p.expression()
	}
	from := part()
	if !p.skip(":") {
		if from == nil {
			lexer.Fail(p.current().Line, "an expression is expected instead of %s", p.current())
		}
		return from
	}
	out := &Slice{From: from, To: part()}
	if p.skip(":") {
		out.Step = part()
	}
	return out
}

func (p *parser) args() Args {
	var out Args
	line := p.current().Line
	p.expect("(")
	wrong := func(is bool) {
		if is {
			lexer.Fail(line, "the arguments of a call are in the wrong order")
		}
	}
	p.items(")", func() {
		switch t := p.current(); {
		case t.Is("*"):
			wrong(out.Star != nil || out.Double != nil)
			p.next()
			out.Star = p.expression()
		case t.Is("**"):
			wrong(out.Double != nil)
			p.next()
			out.Double = p.expression()
		case t.Kind == lexer.Name && p.look().Is("="):
			wrong(out.Double != nil)
			if slices.Contains(out.Names, t.Text) {
				lexer.Fail(t.Line, "the argument %s is there twice", t.Text)
			}
			p.next()
			p.next()
			out.Names = append(out.Names, t.Text)
			out.Named = append(out.Named, p.expression())
		default:
			wrong(out.Star != nil || out.Double != nil || len(out.Names) > 0)
			out.Positional = append(out.Positional, p.expression())
		}
	})
	return out
}

func (p *parser) filters(x Expr) Expr {
	for links := 0; ; links++ {
		if links > maxNesting {
			lexer.Fail(p.current().Line, "an expression has more than %d filters and tests in a row", maxNesting)
		}
		switch t := p.current(); {
		case t.Is("|"):
			x = p.filter(x, false)
		case t.Word("is"):
			x = p.test(x)
		case t.Is("("):
			x = p.call(x)
		default:
			return x
		}
	}
}

// dotted reads a name, which may have dots.
func (p *parser) dotted() lexer.Token {
	t := p.expectKind(lexer.Name, "a name")
	for p.skip(".") {
		t.Text += "." + p.expectKind(lexer.Name, "a name").Text
	}
	return t
}

// filter reads filters in a row; with head the first stands without its bar.
// It returns x if there are none.
func (p *parser) filter(x Expr, head bool) Expr {
	for links := 0; head || p.current().Is("|"); links++ {
		if links > maxNesting {
			lexer.Fail(p.current().Line, "an expression has more than %d filters in a row", maxNesting)
		}
		if !head {
			p.next()
		}
		head = false
		t := p.dotted()
		out := &Filter{X: x, Name: t.Text, Line: t.Line}
		if p.current().Is("(") {
			out.Args = p.args()
		}
		p.check(t.Line, "filter", t.Text)
		if args := out.Args.Positional; t.Text == "map" && len(args) > 0 {
			if c, ok := args[0].(*Const); ok {
				if by, ok := c.Value.(string); ok {
					p.refuse(t.Line, "filter", by)
				}
			}
		}
		x = out
	}
	return x
}

// check refuses filters and tests that are not supported, or that nobody
// knows.
func (p *parser) check(line int, what, name string) {
	p.refuse(line, what, name)
	if p.soft == 0 && !p.language.Known(what, name) {
		p.unknown = append(p.unknown, &Error{Line: line, Reason: fmt.Sprintf("there is no %s %q", what, name)})
	}
}

func (p *parser) refuse(line int, what, name string) {
	if reason := p.language.Refused(what, name); reason != "" {
		lexer.Fail(line, "the %s %q is not supported: %s", what, name, reason)
	}
}

func (p *parser) test(x Expr) Expr {
	line := p.next().Line
	not := p.skipWord("not")
	t := p.dotted()
	out := &Test{X: x, Name: t.Text, Line: line}
	p.check(line, "test", t.Text)
	switch c := p.current(); {
	case c.Is("("):
		out.Args = p.args()
	case c.Word("is"):
		lexer.Fail(c.Line, "tests cannot stand in a row without brackets")
	case c.Kind == lexer.Name && c.Text != "else" && c.Text != "or" && c.Text != "and", c.Kind == lexer.Text, c.Kind == lexer.Integer, c.Kind == lexer.Float, c.Is("["), c.Is("{"):
		out.Args.Positional = []Expr{p.postfix(p.primary())}
	}
	if not {
		return &Unary{Op: "not", X: out, Line: line}
	}
	return out
}
