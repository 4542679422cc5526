// Package huggingface downloads models and data sets from the Hugging Face Hub,
// or from a server with the same HTTP API, into the cache of huggingface_hub, the
// official client.
//
//	client, err := huggingface.New(huggingface.Options{Token: token})
//	…
//	dir, err := client.Model(ctx, "owner/name@main", "") // folder with config.json, *.safetensors, …
//
// A name and a revision are resolved to a commit. Of the files of the commit
// those that tunebus reads are downloaded, and verified against the digests of the
// Hub's list:
//
//	<cache>/models--<owner>--<name>/blobs/<ETag>                 the contents
//	<cache>/models--<owner>--<name>/snapshots/<commit>/...       pointers to them
//	<cache>/models--<owner>--<name>/refs/<revision>              the commit of a revision
//	<cache>/models--<owner>--<name>/trees/<commit>.json          the list of all files
//	<cache>/models--<owner>--<name>/.tunebus/<commit>/...        the files that were chosen
//	<cache>/datasets--<owner>--<name>/...                        the same of a data set
//
// The chosen files have the file .verified beside them, which lists their digests, and their
// sizes and times when they were verified.
//
// All but the folder .tunebus are those of huggingface_hub: each of the two uses what
// the other fetched. That folder has hard links to the chosen files, because a snapshot
// may have files of other formats, which must not become rows or weights.
//
// # Promises
//
//   - A folder that is complete never changes, so processes share a cache
//     without locks. A file in it has the digest that the Hub lists, also one that
//     huggingface_hub left. One that was damaged since is found by its size and its time
//     before it is used, and replaced by a whole one.
//   - A request that fails for a temporary reason is repeated, and a transfer that
//     broke off goes on where it ended, also in another process. If the Hub remains
//     unreachable and the cache has the revision, the cached files are used.
//   - The token is sent only to the origin of the endpoint, also if a download
//     is redirected. Errors and log lines never contain it.
//   - Errors are [ErrUnreachable], [ErrBroken], [ErrNonsense] or [ErrRefused]; the first three
//     may succeed later.
//   - The cache of earlier versions is still read.
//
// The client is ours because github.com/gomlx/go-huggingface/hub, the Go library
// for this, does not compare what it downloads with the Hub's digests and
// coordinates processes with lock files, which network file systems may lack.
package huggingface
