// Package dataset reads questions and answers from files, row by row.
//
// # Formats
//
// The name tells the format: .jsonl (also .ndjson), .json, .csv, .tsv,
// .parquet and .xlsx. The text formats may be compressed: .jsonl.gz. A .json
// file is an array of objects, an object whose "data" is one, or objects one
// after the other. Of a workbook the first sheet is read; its first row that
// is not empty names the columns, as the first row of .csv and .tsv does.
//
// A folder is read as all its data files, sorted by name; they must be of one
// format. If names say which split a file belongs to (train.jsonl,
// data/test-00000-of-00001.parquet, validation/a.csv), the files of one split
// are read. See [Source].
//
// # Values
//
// A cell is text. Numbers and booleans are as the file writes them, lists and
// objects are JSON. A null, a key that a JSON row does not have, or an empty
// cell of a sheet is no value: an error for the question, the empty text for
// all else.
//
// # Memory
//
// Rows are read as they are asked for. [Open] goes through the data once, so
// that a fault in the last row is known before work starts on the first. Only
// a workbook's shared texts and one row group's dictionaries of a Parquet file
// are held in memory, as these formats need it.
package dataset
