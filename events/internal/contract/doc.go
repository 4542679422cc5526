// Package contract generates the JSON Schemas and the AsyncAPI document from the
// structs of package events, so that documents and generated code of other
// languages always match the events.
//
// It is ours because the schemas need the comments of the fields, and the tags for
// defaults and allowed values, which schema generators for Go do not know.
package contract
