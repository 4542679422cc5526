// Package contract derives the written contract from the events' structs: a
// JSON Schema for each event and the AsyncAPI document. What people read and
// other languages generate code from thereby cannot drift from what is sent.
package contract
