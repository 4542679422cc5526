// Package view renders everything that a person or a script sees of a command:
// results as tables or JSON, progress bars, questions, and lines on the
// screen.
//
// Results go to stdout, everything else to the screen, which is stderr. A
// command computes a value, makes a [Result] of it with the function that is
// named after the result, and prints that:
//
//	return console.Print(view.Submitted(id))
//
// With --json the same value is written as JSON. The fields of that JSON are
// part of the program's interface. No other package writes tables, bars or
// JSON, and this one reads nothing from a server.
package view
