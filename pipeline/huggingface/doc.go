// Package huggingface downloads models and data sets from the Hugging Face Hub,
// or from a server with the same HTTP API, into a cache on the local disk.
//
//	client, err := huggingface.New(huggingface.Options{Token: token})
//	…
//	dir, err := client.Model(ctx, "owner/name@main", "") // folder with config.json, *.safetensors, …
//
// A name and a revision are resolved to a commit. Of the files of the commit
// those that tunebus reads are downloaded, verified against the digests of the
// Hub's list, and renamed into the folder of the commit:
//
//	<cache>/models/<owner>--<name>/<commit>/...      the files of a model
//	<cache>/datasets/<owner>--<name>/<commit>/...    the files of a data set
//	<cache>/.../refs/<revision>                      the commit of a revision
//
// # Promises
//
//   - A folder that is complete never changes, so processes share a cache
//     without locks. A file in it has the digest that the Hub lists.
//   - A request that fails for a temporary reason is repeated. If the Hub remains
//     unreachable and the cache has the revision, the cached files are used.
//   - The token is sent only to the origin of the endpoint, also if a download
//     is redirected. Errors and log lines never contain it.
//   - Errors are [ErrUnreachable], [ErrBroken] or [ErrRefused]; the first two
//     may succeed later.
//
// The client is ours because github.com/gomlx/go-huggingface/hub, the Go library
// for this, does not compare what it downloads with the Hub's digests and
// coordinates processes with lock files, which network file systems may lack.
package huggingface
