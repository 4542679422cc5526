// Package artifact keeps what the phases make: models, predictions, reports,
// checkpoints. Events carry an [events.Reference] to it, never the bytes.
//
// # Promises
//
//   - A key is written once. Putting the same content again is fine, other
//     content is refused with [ErrExists].
//   - What [Store.Put] answers for is durable, and was read back and compared
//     with what was sent.
//   - What is read is compared with the reference: size and SHA-256, at the
//     end of the stream. A difference is a [CorruptError].
//   - A store carries an id of its own. A reference to another store is a
//     [WrongStoreError], so that a service pointed at the wrong store can give
//     the job back instead of failing the run.
//   - A store that is full, away or broken is an [UnavailableError]: the same
//     call may succeed later.
//   - Nothing is held whole in memory, whatever its size.
//   - A key from an event is checked before it is used; a file name inside a
//     folder is too. Neither can lead outside the store or the target folder.
//
// # Stores
//
// [Open] takes file:///abs/path, and every scheme for which the program links
// a driver: s3, gs and azblob with the package clouds. Programs import it, this
// package does not. [New] takes any other [Backend].
//
// # Keys
//
// A key is runs/<run>/<phase>/<attempt>/<name>, made by [Key]. Attempts never
// share a key, so a worker that lost its job cannot spoil its successor's.
package artifact
