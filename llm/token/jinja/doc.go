// Package jinja renders chat templates as transformers renders them: Jinja2
// 3.1 in an immutable sandbox with trim_blocks, lstrip_blocks, the extension
// loopcontrols, the block generation, and transformers' own tojson,
// raise_exception, strftime_now, namespace and dict.
//
// # Why an engine of its own
//
// Of the engines for Go, gonja was in use here before. It is kept up well, but
// of the 662 cases in testdata that Jinja2 renders it had 411 equal, 157
// different and 94 refused, and the reasons lie deep. Its values are Go's, seen
// through reflection: maps lose the order of their keys, texts are bytes, and
// None and undefined become one. Python's methods are mostly left out. Bounds
// on steps and memory would go through all of its code. A fork would have kept
// little but the parser, which reads conditional expressions and white space
// otherwise than Jinja2, too.
//
// The port of MiniJinja was not to be had as a module, and it differs from
// Jinja2 by design, in Python's methods again. Interpreters of Python's
// relatives, such as Starlark, have texts of bytes and print differently.
//
// # Parts
//
// Package lexer and package syntax read a template, package python has the
// values, pystr what Python does with texts, pyjson its JSON, pytime its dates.
// Package builtin has the filters, tests and functions. This package runs the
// statements.
//
// # Refusals
//
// What is not covered is refused by [New] with a sentence that names it, or,
// where only the values show it, by [Template.Render]. Nothing is rendered
// otherwise than in Python: integers beyond 64 bits, printed addresses, and the
// methods of what the filters safe and escape made, are refused too.
//
// # Bounds
//
// Steps, the bytes that are made on the way, and the output are bounded, see
// [Limits]; so is every nesting. Beyond a bound the rendering ends with an
// error that names it.
//
// # Concurrency
//
// A Template may be rendered by any number of goroutines at once, as long as
// nobody changes the values that they share.
package jinja
