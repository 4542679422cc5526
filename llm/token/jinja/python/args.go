package python

import "slices"

// Args are the arguments of a call.
type Args struct {
	Positional []Value
	Names      []string
	Named      []Value
}

// missing is an argument that was left out.
type missing struct{}

// Missing stands for an argument that was left out.
var Missing Value = missing{}

// Bind sorts the arguments by the parameters of a function. What is left out
// is Missing; the first required ones have to be there.
func (a Args) Bind(function string, required int, params ...string) []Value {
	if len(a.Positional) > len(params) {
		typeError("%s() takes at most %d arguments (%d given)", function, len(params), len(a.Positional)+len(a.Names))
	}
	out := make([]Value, len(params))
	for i := range out {
		out[i] = Missing
	}
	copy(out, a.Positional)
	for i, name := range a.Names {
		at := slices.Index(params, name)
		if at < 0 {
			typeError("%s() got an unexpected keyword argument '%s'", function, name)
		}
		if out[at] != Missing {
			typeError("%s() got multiple values for argument '%s'", function, name)
		}
		out[at] = a.Named[i]
	}
	for i := range required {
		if out[i] == Missing {
			typeError("%s() is missing its argument '%s'", function, params[i])
		}
	}
	return out
}

// Only is Bind for functions that take no keywords.
func (a Args) Only(function string, required, most int) []Value {
	if len(a.Names) > 0 {
		typeError("%s() takes no keyword arguments", function)
	}
	if n := len(a.Positional); n < required || n > most {
		typeError("%s() takes from %d to %d arguments (%d given)", function, required, most, n)
	}
	return a.Positional
}
