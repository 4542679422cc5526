// Package objectstore keeps artifacts in a bucket of JetStream's Object Store,
// for installations with a single NATS server and no other store.
//
// It reads and writes the Object Store's own format, so that "nats object"
// shows the artifacts. It does not write by the client library's Put, which
// sends chunks without waiting: a leader change may then change their order,
// and Put reports success. Here each chunk is published with the sequence of
// the one before as its condition, and its acknowledgement is awaited; a name is
// taken once, by the same means. It reads page by page, each with a limit of its
// own. Buckets with replicas are refused.
//
//	bucket, err := objectstore.Open(ctx, c, "artifacts")
//	store, err := artifact.New(ctx, bucket)
//
// Its tests with a real server are in embedded/bustest.
package objectstore
