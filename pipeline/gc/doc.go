// Package gc is the garbage collection of the artifact store: it removes
// artifacts that no run refers to, leftovers of killed writers, and checkpoints
// that no job will resume from.
//
//	report, err := gc.New(conn, store, gc.Options{Grace: 24 * time.Hour}).Run(ctx)
//
// With [Options.Runs] it collects only what these runs have, which a person deletes.
//
// It is mark and sweep. All objects are listed first. Then everything that can
// refer to an object is read, and the objects that are referred to are marked.
// The listed objects that are not marked are removed, so an object that is
// stored later is safe.
//
// # What remains
//
//   - Every object that a fact of any run refers to, in the stream or in the
//     archive: the results and the inputs of the run, and so everything that a
//     rerun needs. References are searched in the stored JSON itself, also in
//     facts of versions that this program does not know.
//   - Every object below the prefix of a run that has not ended, or that can not
//     be read.
//   - Every object that a pending request or a dead letter refers to.
//   - Every object that is younger than the grace period: files are uploaded
//     before their run is accepted.
//   - Content (content/<SHA-256>) that was written or reserved within the last
//     hour, whatever the grace period: see package content.
//   - What a deleted run refers to, while a request is pending that repeats it.
//   - Archives, and all other objects whose key does not begin with runs/,
//     uploads/ or content/, because tunebus did not create them.
package gc
