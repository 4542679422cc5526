// Package archive keeps runs that have left the stream of facts: each as one
// file of JSON lines in the artifact store, a fact a line.
//
// # Reading
//
// [Facts] reads a run from the stream and, where the stream does not hold it
// whole, from its archive. Whoever shows, repeats or tracks a run that may be
// old reads it so; [Reader] is the same for whoever wants an interface.
//
// # Archiving
//
// An [Archiver] takes a run that has ended, was tracked and is old enough out
// of the stream. The archive is written, read back and compared before a
// single fact is removed. Removing takes several steps, and a crash between
// them leaves a part of the run in the stream, of which the archive then holds
// at least as much: the next call finishes it. Facts that the stream holds
// beyond an archive, such as a cancel that came late, are archived with the
// rest in a second file; nothing in the archive is ever changed or removed.
//
// # Keys
//
// An archive is archive/<run>/<SHA-256 of the file>.jsonl. The id of an
// archived run stays taken.
package archive
