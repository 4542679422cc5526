// Package validation holds the tests of the written contract by the tools
// that its readers use: a JSON Schema validator and a YAML parser. It is a
// module of its own, so that package events needs nothing but the standard
// library.
package validation
