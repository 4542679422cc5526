// Package huggingface fetches models and data sets of the Hugging Face Hub, or of a
// server that speaks its HTTP API, into a cache on disk.
//
// A name and a revision are resolved to a commit, the commit's files are
// listed, those that tunebus reads are downloaded, checked against the digests
// of the list, and moved into the folder of the commit. A folder that is
// complete is never changed, so processes share a cache without locks.
//
//	<cache>/models/<owner>--<name>/<commit>/...      a model's files
//	<cache>/datasets/<owner>--<name>/<commit>/...    a data set's files
//	<cache>/.../refs/<revision>                      the commit of a revision
//
// The token is sent to the endpoint's own origin and to nobody else, also
// when a download is redirected.
package huggingface
