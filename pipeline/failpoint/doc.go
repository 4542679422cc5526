// Package failpoint names the spots where the end of a process could tear
// something: between a fact and what follows from it, before an
// acknowledgement, in the middle of an upload.
//
// A program built with the tag failpoint kills itself, as SIGKILL does, at the
// point that the variable FAILPOINT names: "ack.before" at the first
// time that it comes by there, "ack.before#3" at the third. Without the tag a
// point is an empty function, which the compiler leaves out.
//
// A test walks through all of them. A new point is a constant, a place in
// [All], and a call of [Here]; points around the publishing of a fact need no
// call, [Publishing] and [Published] know every fact.
package failpoint

// Variable is the environment variable that names the point to die at.
const Variable = "FAILPOINT"

// Said is what a process writes to stderr before it dies at a point.
func Said(name Name) string { return "failpoint " + string(name) }
