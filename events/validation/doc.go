// Package validation tests the JSON Schemas and the AsyncAPI document of package
// events with a JSON Schema validator and a YAML parser. It is a module of its own,
// so that package events needs only the standard library.
package validation
