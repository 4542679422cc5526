// Package python has values that print, compare, add and convert as those of
// Python do, which the texts of chat templates depend on: True and None, 1.0
// and 1e+16, ['a', 'b'], -7 // 2, the order of the keys of a dict.
//
// # Values
//
// A Value is nil, a bool, an int64, a float64, a string, a [Markup], or one of
// the pointer types of this package. Integers beyond 64 bits raise an error,
// since Python's have no bound.
//
// # Errors
//
// What Python would raise is a panic with an [*Error], or a [*LimitError] if
// the [Meter] is used up. Functions that take a Meter may panic so, and
// whoever renders a template recovers both.
package python
