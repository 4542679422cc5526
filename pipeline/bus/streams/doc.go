// Package streams reads the stored messages of a JetStream stream as they are,
// not yet decoded: one message, the newest of a subject, the newest of each of
// many subjects, or all of them page by page.
//
// [Reader.Get], [Reader.Latest] and [Reader.First] ask the stream's leader and see every
// message that was acknowledged. [Reader.LatestOfEach] and [Reader.Scan] may be
// answered by a replica, which may lack the newest messages: who must not miss one that
// is known to be there asks [Reader.CheckThrough]. A batch counts only with the status at
// its end: a reader fails rather than returning a part.
//
// Source of the requests: NATS ADR-8 and ADR-31. They are made here, not by the
// client library's jetstreamext, which ends a batch without an error if the
// final status is missing.
//
// Its tests with a real server are in embedded/bustest.
package streams
