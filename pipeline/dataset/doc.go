// Package dataset reads data sets of questions and answers from files, row by
// row.
//
//	d, err := dataset.Open(ctx, dataset.Source{Path: dir, Split: dataset.Test},
//		dataset.Columns{Question: "question", Answer: "answer"})
//	…
//	for row, err := range d.Rows(ctx) {
//		…
//	}
//
// # Formats
//
// The file name determines the format: .jsonl (also .ndjson), .json, .csv, .tsv,
// .parquet and .xlsx. The text formats may be compressed: .jsonl.gz. A .json
// file is an array of objects, an object whose "data" is such an array, or a
// sequence of objects. Of a workbook the first sheet is read. Its first row that
// is not empty has the names of the columns, as does the first row of .csv and
// .tsv files.
//
// Of a folder all data files are read, sorted by name; they must have the same
// format. If the names say which split a file belongs to (train.jsonl,
// data/test-00000-of-00001.parquet, validation/a.csv), only the files of one
// split are read. See [Source].
//
// # Values
//
// A cell is text. Numbers and booleans are as the file writes them; lists and
// objects are JSON. A null, a missing key of a JSON row and an empty cell of a
// sheet are no value. For the question that is an error, in all other columns it
// is the empty text.
//
// # Memory
//
// Rows are read on demand. [Open] reads the data once to the end, so that an
// error in the last row is known before work starts on the first. In memory are
// only the shared texts of a workbook, and the dictionaries of one row group of
// a Parquet file, because these formats need them.
//
// CSV, Parquet and XLSX are decoded by libraries, and so is each JSON row. The
// code that finds the rows in a .json file is ours: encoding/json has no reader
// for an array of unlimited size that may be nested in an object, and no line
// numbers.
package dataset
