// Package artifact stores the files that the phases produce and need: models,
// predictions, reports, checkpoints. Events carry an [events.Reference] to an
// artifact, never its bytes.
//
//	store, err := artifact.Open(ctx, "file:///var/lib/tunebus/artifacts")
//	…
//	key, err := artifact.Key(run, events.Finetune, attempt, "metrics.jsonl")
//	…
//	ref, err := store.Put(ctx, key, "application/jsonl", r) // ref goes into an event
//	…
//	content, err := store.Get(ctx, ref) // in another process, on another machine
//
// Package transfer copies files and whole folders of the local disk into a
// store and out of it.
//
// # Promises
//
//   - A key is written once. Writing the same content again succeeds, other
//     content is refused with [ErrExists].
//   - When [Store.Put] returns without an error, the content is durable: it was
//     read back from the backend and compared with the bytes that were sent, or
//     the server of a bucket told their SHA-256 ([ServerChecksums]).
//   - A reader compares the content with the reference (size and SHA-256) at
//     the end of the stream. A difference is a [CorruptError].
//   - A store has an id. Using the reference of another store is a
//     [WrongStoreError], so that a service with the wrong store address can
//     return the job instead of failing the run.
//   - A full, unreachable or broken store is an [UnavailableError]: the same
//     call may succeed later.
//   - Content is streamed; no artifact is ever in memory as a whole.
//   - A key from an event is checked before it is used, and can not name
//     anything outside the store.
//
// # Backends
//
// [Open] accepts file:///abs/path, and each URL scheme for which the program
// links a driver: package cloudblob links s3, gs and azblob. Programs import
// cloudblob, this package does not. [New] accepts any other [Backend]. Package
// artifacttest has the conformance suite of backends.
//
// # Keys
//
// A key is runs/<run>/<phase>/<attempt>/<name>, built by [Key]. Attempts never
// share a key, so a worker that lost its job can not overwrite the files of
// the next attempt.
package artifact
