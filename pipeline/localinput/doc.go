// Package localinput knows the models and data sets that stay where a person has
// them: a run refers to their path instead of a copy in the artifact store.
//
//	folder, err := localinput.Open("tunebus-data")
//	ref, err := folder.Accept(ctx, "/home/me/models/small") // reads it once
//	...
//	path, err := folder.Find(ctx, ref, roots) // in a job, perhaps weeks later
//
// # References
//
// The store of such a reference is local:<id>, with the id of the data folder,
// and its key is the absolute path. Only services that work on this data folder
// open it. Size and digest are those that the file had when the run was asked
// for; the digest of a folder is that of its manifest (package manifest), and
// its size that of all files together.
//
// # What a reference may name
//
// A reference comes out of an event, so everybody may have written it. A path is
// opened only if it lies below the data roots, as the path of a specification
// (package allowedpath), or if the person who owns the data folder accepted it for a
// run, with this digest ([Folder.Accept]).
//
// # What is remembered
//
// Each input has a file in the folder inputs of the data folder, with the digest
// of each of its files beside the path, size and times of change that the file
// had. A file that still looks the same is not read again.
package localinput
