package python

import (
	"math"
	"math/bits"
	"strings"
)

// Binary is x op y for +, -, *, /, //, % and **.
func Binary(m *Meter, op string, x, y Value) Value {
	for _, v := range []Value{x, y} {
		if u, ok := v.(*Undefined); ok {
			u.Fail()
		}
		if _, ok := v.(Markup); ok && op != "+" {
			Unsupported("the operator %s on a text that safe or escape made", op)
		}
	}
	if i, ok := Int(x); ok {
		if j, ok := Int(y); ok {
			return integers(op, i, j)
		}
	}
	if f, ok := Float(x); ok {
		if g, ok := Float(y); ok {
			return floats(op, f, g)
		}
	}
	switch op {
	case "+":
		if out, ok := add(m, x, y); ok {
			return out
		}
	case "*":
		if n, ok := Int(y); ok {
			if out, ok := repeat(m, x, n); ok {
				return out
			}
		}
		if n, ok := Int(x); ok {
			if out, ok := repeat(m, y, n); ok {
				return out
			}
		}
	}
	name := op
	if op == "**" {
		name = "** or pow()"
	}
	typeError("unsupported operand type(s) for %s: '%s' and '%s'", name, TypeName(x), TypeName(y))
	return nil
}

func add(m *Meter, x, y Value) (Value, bool) {
	if TypeName(x) == "Markup" || TypeName(y) == "Markup" {
		_, ok := Text(x)
		if _, also := Text(y); !ok || !also {
			return nil, false
		}
		left, right := Escape(m, x), Escape(m, y)
		m.Alloc(len(left) + len(right))
		return left + right, true
	}
	switch x := x.(type) {
	case string:
		if y, ok := y.(string); ok {
			m.Alloc(len(x) + len(y))
			return x + y, true
		}
		typeError("can only concatenate str (not %q) to str", TypeName(y))
	case *List:
		if y, ok := y.(*List); ok {
			return &List{joined(m, x.Items, y.Items)}, true
		}
	case *Tuple:
		if y, ok := y.(*Tuple); ok {
			return &Tuple{Items: joined(m, x.Items, y.Items)}, true
		}
	}
	return nil, false
}

var escapes = strings.NewReplacer("&", "&amp;", ">", "&gt;", "<", "&lt;", "'", "&#39;", "\"", "&#34;")

// Escape is v for HTML; a Markup stays as it is.
func Escape(m *Meter, v Value) Markup {
	if safe, ok := v.(Markup); ok {
		return safe
	}
	s := Str(m, v)
	m.Alloc(5 * len(s))
	return Markup(escapes.Replace(s))
}

func joined(m *Meter, x, y []Value) []Value {
	m.Alloc(16 * (len(x) + len(y)))
	return append(append(make([]Value, 0, len(x)+len(y)), x...), y...)
}

func repeat(m *Meter, x Value, n int64) (Value, bool) {
	n = max(n, 0)
	times := func(size int) int {
		over, total := bits.Mul64(uint64(size), uint64(n))
		if over != 0 || total > math.MaxInt32*256 {
			total = math.MaxInt64
		}
		m.Alloc(int(total))
		return int(n)
	}
	items := func(x []Value) []Value {
		if len(x) == 0 {
			return nil
		}
		count := times(16 * len(x))
		out := make([]Value, 0, count*len(x))
		for range count {
			out = append(out, x...)
		}
		return out
	}
	switch x := x.(type) {
	case string:
		if x == "" {
			return x, true
		}
		return strings.Repeat(x, times(len(x))), true
	case *List:
		return &List{items(x.Items)}, true
	case *Tuple:
		return &Tuple{Items: items(x.Items)}, true
	}
	return nil, false
}

func overflow() { Unsupported("integers beyond 64 bits") }

func zero(what string) { Raise("ZeroDivisionError", "%s by zero", what) }

func integers(op string, x, y int64) Value {
	switch op {
	case "+":
		s := x + y
		if (s > x) != (y > 0) && y != 0 {
			overflow()
		}
		return s
	case "-":
		d := x - y
		if (d < x) != (y > 0) && y != 0 {
			overflow()
		}
		return d
	case "*":
		return multiply(x, y)
	case "/":
		if y == 0 {
			zero("division")
		}
		if x > 1<<53 || x < -1<<53 || y > 1<<53 || y < -1<<53 {
			Unsupported("the division of integers beyond 53 bits")
		}
		return float64(x) / float64(y)
	case "//", "%":
		if y == 0 {
			zero("integer division or modulo")
		}
		if x == math.MinInt64 && y == -1 {
			overflow()
		}
		q, r := x/y, x%y
		if r != 0 && (r < 0) != (y < 0) {
			q, r = q-1, r+y
		}
		if op == "%" {
			return r
		}
		return q
	}
	if y < 0 {
		if x == 0 {
			Raise("ZeroDivisionError", "0.0 cannot be raised to a negative power")
		}
		return math.Pow(float64(x), float64(y))
	}
	out := int64(1)
	for ; y > 0; y >>= 1 {
		if y&1 == 1 {
			out = multiply(out, x)
		}
		if y > 1 {
			x = multiply(x, x)
		}
	}
	return out
}

func multiply(x, y int64) int64 {
	p := x * y
	if x != 0 && (p/x != y || x == -1 && y == math.MinInt64) {
		overflow()
	}
	return p
}

func floats(op string, x, y float64) Value {
	switch op {
	case "+":
		return x + y
	case "-":
		return x - y
	case "*":
		return x * y
	case "/":
		if y == 0 {
			zero("float division")
		}
		return x / y
	case "//", "%":
		if y == 0 {
			zero("float floor division")
		}
		mod := math.Mod(x, y)
		div := (x - mod) / y
		if mod != 0 {
			if (y < 0) != (mod < 0) {
				mod += y
				div--
			}
		} else {
			mod = math.Copysign(0, y)
		}
		if op == "%" {
			return mod
		}
		if div == 0 {
			return math.Copysign(0, x/y)
		}
		floor := math.Floor(div)
		if div-floor > 0.5 {
			floor++
		}
		return floor
	}
	if x == 0 && y < 0 {
		Raise("ZeroDivisionError", "0.0 cannot be raised to a negative power")
	}
	if x < 0 && y != math.Trunc(y) && !math.IsInf(y, 0) {
		Unsupported("complex numbers")
	}
	out := math.Pow(x, y)
	if math.IsInf(out, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		Raise("OverflowError", "(34, 'Numerical result out of range')")
	}
	return out
}

// Sign is +x or -x.
func Sign(op string, x Value) Value {
	if u, ok := x.(*Undefined); ok {
		u.Fail()
	}
	if i, ok := Int(x); ok {
		if op == "+" {
			return i
		}
		if i == math.MinInt64 {
			overflow()
		}
		return -i
	}
	if f, ok := x.(float64); ok {
		if op == "+" {
			return f
		}
		return -f
	}
	typeError("bad operand type for unary %s: '%s'", op, TypeName(x))
	return nil
}
