package syntax

import (
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/llm/token/jinja/lexer"
)

// literals are names that stand for values.
var literals = []string{"true", "false", "none", "True", "False", "None"}

// parseExpression reads one that may be conditional.
func parseExpression(p *parser) Expr {
	defer p.enter()()
	unknown := len(p.unknown)
	out := parseOr(p)
	for p.skipWord("if") {
		p.unknown = p.unknown[:unknown]
		p.soft++
		cond := &Cond{Test: parseOr(p), Then: out}
		if p.skipWord("else") {
			cond.Else = parseExpression(p)
		}
		p.soft--
		out = cond
	}
	return out
}

// parseTuple reads expressions with commas between them; without commas it is the
// one expression.
func parseTuple(p *parser, conditional, parentheses bool, ends ...string) Expr {
	one := parseOr
	if conditional {
		one = parseExpression
	}
	return parseTupleOf(p, one, parentheses, ends)
}

func parseTupleOf(p *parser, one func(*parser) Expr, parentheses bool, ends []string) Expr {
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
		items = append(items, one(p))
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

func parseOr(p *parser) Expr {
	out := parseAnd(p)
	for p.current().Word("or") {
		line := p.next().Line
		out = &Binary{Op: "or", X: out, Y: parseAnd(p), Line: line}
		boundChain(out)
	}
	return out
}

func parseAnd(p *parser) Expr {
	out := parseNot(p)
	for p.current().Word("and") {
		line := p.next().Line
		out = &Binary{Op: "and", X: out, Y: parseNot(p), Line: line}
		boundChain(out)
	}
	return out
}

func parseNot(p *parser) Expr {
	if t := p.current(); t.Word("not") {
		defer p.enter()()
		p.next()
		return &Unary{Op: "not", X: parseNot(p), Line: t.Line}
	}
	return parseCompare(p)
}

var comparisons = []string{"==", "!=", "<", "<=", ">", ">="}

func parseCompare(p *parser) Expr {
	x := parseSum(p)
	out := &Compare{X: x, Line: p.current().Line}
	for {
		t := p.current()
		var op string
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
		out.Ys = append(out.Ys, parseSum(p))
	}
}

// parseBinary reads operators of one rank, from left to right.
func parseBinary(p *parser, operand func(*parser) Expr, ops ...string) Expr {
	out := operand(p)
	for p.current().Kind == lexer.Operator && slices.Contains(ops, p.current().Text) {
		t := p.next()
		out = &Binary{Op: t.Text, X: out, Y: operand(p), Line: t.Line}
		boundChain(out)
	}
	return out
}

// boundChain bounds chains of operators, which nest to the left without a call of
// their own here.
func boundChain(x Expr) {
	n := 0
	for b, ok := x.(*Binary); ok; b, ok = b.X.(*Binary) {
		if n++; n > 2000 {
			lexer.Fail(b.Line, "an expression has more than 2000 operators in a row")
		}
	}
}

func parseSum(p *parser) Expr { return parseBinary(p, parseConcat, "+", "-") }

func parseConcat(p *parser) Expr {
	line := p.current().Line
	parts := []Expr{parseProduct(p)}
	for p.skip("~") {
		parts = append(parts, parseProduct(p))
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return &Concat{Parts: parts, Line: line}
}

func parseProduct(p *parser) Expr { return parseBinary(p, parsePower, "*", "/", "//", "%") }

func parsePower(p *parser) Expr {
	return parseBinary(p, func(p *parser) Expr { return parseUnary(p, true) }, "**")
}

func parseUnary(p *parser, filtered bool) Expr {
	defer p.enter()()
	var out Expr
	if t := p.current(); t.Is("-") || t.Is("+") {
		p.next()
		out = &Unary{Op: t.Text, X: parseUnary(p, false), Line: t.Line}
	} else {
		out = parsePrimary(p)
	}
	out = parsePostfix(p, out)
	if filtered {
		out = parseFilters(p, out)
	}
	return out
}

func parsePrimary(p *parser) Expr {
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
		refuse(p, t.Line, "function", t.Text)
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
		out := parseTuple(p, true, true)
		p.expect(")")
		return out
	case t.Is("["):
		out := &List{}
		parseItems(p, "]", func() { out.Items = append(out.Items, parseExpression(p)) })
		return out
	case t.Is("{"):
		out := &Dict{Line: t.Line}
		parseItems(p, "}", func() {
			out.Keys = append(out.Keys, parseExpression(p))
			p.expect(":")
			out.Values = append(out.Values, parseExpression(p))
		})
		return out
	}
	lexer.Fail(t.Line, "an expression is expected instead of %s", t)
	return nil
}

// parseItems reads what stands between brackets, with commas between, and one more
// at the end if somebody wrote it.
func parseItems(p *parser, end string, item func()) {
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

func parsePostfix(p *parser, x Expr) Expr {
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
				parts = append(parts, parseSubscript(p))
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
			x = parseCall(p, x)
		default:
			return x
		}
	}
}

func parseCall(p *parser, x Expr) Expr {
	line := p.current().Line
	if a, ok := x.(*Attr); ok {
		refuse(p, line, "method", a.Name)
	}
	return &Call{Func: x, Args: parseArgs(p), Line: line}
}

func parseSubscript(p *parser) Expr {
	part := func() Expr {
		if t := p.current(); t.Is(":") || t.Is("]") || t.Is(",") {
			return nil
		}
		return parseExpression(p)
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

func parseArgs(p *parser) Args {
	var out Args
	line := p.current().Line
	p.expect("(")
	wrong := func(is bool) {
		if is {
			lexer.Fail(line, "the arguments of a call are in the wrong order")
		}
	}
	parseItems(p, ")", func() {
		switch t := p.current(); {
		case t.Is("*"):
			wrong(out.Star != nil || out.Double != nil)
			p.next()
			out.Star = parseExpression(p)
		case t.Is("**"):
			wrong(out.Double != nil)
			p.next()
			out.Double = parseExpression(p)
		case t.Kind == lexer.Name && p.look().Is("="):
			wrong(out.Double != nil)
			if slices.Contains(out.Names, t.Text) {
				lexer.Fail(t.Line, "the argument %s is there twice", t.Text)
			}
			p.next()
			p.next()
			out.Names = append(out.Names, t.Text)
			out.Named = append(out.Named, parseExpression(p))
		default:
			wrong(out.Star != nil || out.Double != nil || len(out.Names) > 0)
			out.Positional = append(out.Positional, parseExpression(p))
		}
	})
	return out
}

func parseFilters(p *parser, x Expr) Expr {
	for links := 0; ; links++ {
		if links > maxNesting {
			lexer.Fail(p.current().Line, "an expression has more than %d filters and tests in a row", maxNesting)
		}
		switch t := p.current(); {
		case t.Is("|"):
			x = parseFilter(p, x, false)
		case t.Word("is"):
			x = parseTest(p, x)
		case t.Is("("):
			x = parseCall(p, x)
		default:
			return x
		}
	}
}

// parseDotted reads a name, which may have dots.
func parseDotted(p *parser) lexer.Token {
	t := p.expectKind(lexer.Name, "a name")
	for p.skip(".") {
		t.Text += "." + p.expectKind(lexer.Name, "a name").Text
	}
	return t
}

// parseFilter reads filters in a row; with head the first stands without its bar.
// It returns x if there are none.
func parseFilter(p *parser, x Expr, head bool) Expr {
	for links := 0; head || p.current().Is("|"); links++ {
		if links > maxNesting {
			lexer.Fail(p.current().Line, "an expression has more than %d filters in a row", maxNesting)
		}
		if !head {
			p.next()
		}
		head = false
		t := parseDotted(p)
		out := &Filter{X: x, Name: t.Text, Line: t.Line}
		if p.current().Is("(") {
			out.Args = parseArgs(p)
		}
		checkName(p, t.Line, "filter", t.Text)
		if args := out.Args.Positional; t.Text == "map" && len(args) > 0 {
			if c, ok := args[0].(*Const); ok {
				if by, ok := c.Value.(string); ok {
					refuse(p, t.Line, "filter", by)
				}
			}
		}
		x = out
	}
	return x
}

// checkName refuses filters and tests that are not supported, or that nobody
// knows.
func checkName(p *parser, line int, what, name string) {
	refuse(p, line, what, name)
	if p.soft == 0 && !p.language.Known(what, name) {
		p.unknown = append(p.unknown, &Error{Line: line, Reason: fmt.Sprintf("there is no %s %q", what, name)})
	}
}

func refuse(p *parser, line int, what, name string) {
	if reason := p.language.Refused(what, name); reason != "" {
		lexer.Fail(line, "the %s %q is not supported: %s", what, name, reason)
	}
}

func parseTest(p *parser, x Expr) Expr {
	line := p.next().Line
	not := p.skipWord("not")
	t := parseDotted(p)
	out := &Test{X: x, Name: t.Text, Line: line}
	checkName(p, line, "test", t.Text)
	switch c := p.current(); {
	case c.Is("("):
		out.Args = parseArgs(p)
	case c.Word("is"):
		lexer.Fail(c.Line, "tests cannot stand in a row without brackets")
	case c.Kind == lexer.Name && c.Text != "else" && c.Text != "or" && c.Text != "and", c.Kind == lexer.Text, c.Kind == lexer.Integer, c.Kind == lexer.Float, c.Is("["), c.Is("{"):
		out.Args.Positional = []Expr{parsePostfix(p, parsePrimary(p))}
	}
	if not {
		return &Unary{Op: "not", X: out, Line: line}
	}
	return out
}
