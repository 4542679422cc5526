// Package archive moves ended runs from the stream of facts into the artifact
// store, and reads them from there. An archive is a file of JSON lines with one
// fact on each line.
//
//	reader := archive.NewReader(conn, store)
//	run, err := reader.Run(ctx, id) // from the stream, or from the archive
//
//	report, err := archive.NewArchiver(conn, store, archive.Options{OlderThan: 90 * day}).Run(ctx)
//
// # Reading
//
// A [Reader] reads a run from the stream and, if the stream has only a part of
// it, from its archive too. Everything that shows, repeats or tracks runs of any
// age reads them this way.
//
// # Archiving
//
// An [Archiver] moves a run that has ended, is tracked and is old enough. It
// writes the archive, reads it back and compares it before it removes the first
// fact. Removing takes several steps. If the process dies between them, a part
// of the run remains in the stream, and the archive has at least the same facts;
// the next call finishes the work. Facts that are stored after a run was
// archived, such as a late cancel request, are archived in a second file with
// all the others. An archive is never changed, and removed only with its run, by
// package deletion.
//
// # Keys
//
// The key of an archive is archive/<run>/<SHA-256 of the file>.jsonl. The id of
// an archived run can not be used again.
package archive
