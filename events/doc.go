// Package events is the contract between the services of tunebus: what
// happened to a run, under which name, on which subject, and what follows
// from it. It imports the standard library alone.
//
// # Subjects
//
// The run id is always the third token: <stage>.<event>.<run>[.<detail>].
// So *.*.<run> and *.*.<run>.* are the whole story of a run. [Fact.Subject]
// writes a subject, [ParseSubject] reads one; no other package spells them.
//
// # Delivery
//
// A fact is stored once for ever: the stream keeps one message for each
// subject and refuses a second one. A service stores its fact, reads it back,
// publishes what [Next] derives from the stored fact alone, and only then
// acknowledges the message that caused the step. Every event may therefore be
// seen more than once, and in any order; [Fold] does not mind.
//
// # Versions
//
// The JSON of an event is never renamed. A breaking change is a new version,
// named in dataschema; [Decode] answers [UnknownVersionError] for a version
// that it does not know, so that services may be upgraded in any order.
package events
