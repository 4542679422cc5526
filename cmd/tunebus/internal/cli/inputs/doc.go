// Package inputs opens the data sets and models that a specification names, as the
// engines will. What is wrong with them is then known before a run starts.
//
//	faults := inputs.Check(ctx, hostmemory.Machine(), specification, files)
//
// [Data.Open] and [Model] open one of them. Errors name the file as the person
// wrote it.
package inputs
