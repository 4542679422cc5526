// Package columnar reads files that store a table by its columns, with types:
// Parquet and Arrow. Only the columns that are wanted are decoded.
//
// Both are decoded by libraries that trust the lengths in a file. Their panics and
// faults of memory are errors here, and no library starts a goroutine, in which a
// panic could not be caught. That is why Parquet is not read by arrow-go, which
// decodes the fields of a structure in goroutines.
package columnar
