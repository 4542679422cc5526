// Package gc collects the artifacts that no run refers to, and what
// writers that died left behind.
//
// # What stays
//
//   - Every object that a fact of any run refers to, in the stream or archived:
//     what a run made, what it was given, and so what a rerun starts from.
//     References are found in the stored JSON itself, also in facts of versions
//     that this program does not know.
//   - Every object below the prefix of a run that has not ended, or that cannot
//     be read.
//   - What requests name that intake has not dealt with, and dead letters.
//   - Whatever is younger than the grace: files are uploaded before their run is
//     accepted.
//   - Archives, and whatever is not called runs/… or uploads/…, which tunebus
//     did not make.
//
// # Order
//
// The objects are listed first, then the runs are read, then those runs that
// were accepted meanwhile. Only what was listed is removed, so that whatever
// is stored later is safe.
package gc
