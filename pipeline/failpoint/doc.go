// Package failpoint kills the process at named points where a crash could leave
// something inconsistent: between a fact and the event that follows from it,
// before an acknowledgement, in the middle of an upload.
//
//	failpoint.Here(failpoint.BeforeAck)
//
// A program that is built with the tag failpoint kills itself with SIGKILL at the
// point that the variable FAILPOINT names: "ack.before" means the first time that
// it reaches the point, "ack.before#3" the third. Without the tag a point is an
// empty function, which the compiler removes.
//
// A test kills a process at each point. To add a point, add a constant and an entry
// in [All], and call [Here]. The points around the publishing of a fact need no
// call, because [Publishing] and [Published] cover all facts.
//
// It is ours because the libraries for this (pingcap/failpoint, etcd's gofail)
// rewrite the source before a build. A SIGKILL at a named point needs only a tag.
package failpoint

// Variable is the environment variable that names the point.
const Variable = "FAILPOINT"

// Output returns what a process writes to stderr before it dies at a point.
func Output(name Name) string { return "failpoint " + string(name) }
