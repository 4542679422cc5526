// Package events is the contract between the services of tunebus: the events of a
// run, their wire names and subjects, the state that they add up to, and the event
// that follows from each. It imports only the standard library.
//
// A fact is an event of a run that is stored once, on a subject of its own. The
// facts of a run are its whole state; a request and a metric point are no facts.
//
//	run := events.Fold(facts)                // the state of a run
//	next, err := events.Next(completed, run) // the job, or the end, that follows
//
// # Subjects
//
// The run id is always the third token: <stage>.<event>.<run>[.<detail>]. So the
// filters *.*.<run> and *.*.<run>.* together match all facts of a run.
// [Fact.Subject] builds a subject and [ParseSubject] parses one; no other package
// contains subjects.
//
// # Delivery
//
// A fact is stored only once: the stream has one message for each subject and
// refuses a second one. A service stores its fact, reads it back, publishes the
// event that [Next] derives from the stored fact, and only then acknowledges the
// message that caused the step. So a consumer may receive each event more than
// once and in any order. [Fold] gives the same result for any order and any
// number of duplicates.
//
// # Sizes
//
// A message with its envelope and headers takes at most [MaxEventBytes]. The codec
// of the bus applies [Bound] to each event that it writes: long texts and lists are
// cut. What a request decides is never cut; [PipelineAccepted.SizeFaults] finds what
// is too large, and intake rejects it. Reading has no bounds.
//
// # Versions
//
// The JSON of an event is never renamed. A breaking change is a new version, which
// dataschema names. [Decode] returns [UnknownVersionError] for a version that it
// does not know, so services can be upgraded in any order.
package events
