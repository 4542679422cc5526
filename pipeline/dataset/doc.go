// Package dataset reads data sets of conversations, questions with answers, or
// texts, row by row.
//
//	src, err := job.Dataset(ctx, "fine_tuner.training_data_id", id) // a source.Source
//	…
//	d, err := dataset.Open(ctx, src, dataset.Want{
//		Use:     dataset.Training,
//		Columns: dataset.Columns{Question: "question", Answer: "answer"},
//	})
//	…
//	for r, err := range d.Rows(ctx) {
//		… // r.Messages, or r.Text
//	}
//
// # Files
//
// A data set is a file, or the files of one split of a folder, which package layout
// finds. All of them have the same format, which package reader reads. A folder's
// files are read in the order of their names.
//
// # Rows
//
// Package shape recognises by the columns and the first records what the rows are,
// and makes a row.Row of each: [Want] says what the keys and the engine want of it.
// A later record of another kind is an error with its line.
//
// Rows that lack a question are left out, and in a training those that lack an
// answer, too. A test has rows without a ground truth. [Counts] counts all of them,
// and the notes of [Info] say so, as warnings if they are more than a tenth. A data
// set in which all rows lack something is an error.
//
// # Memory
//
// Rows are read on demand. [Open] reads the data once to the end, so that an
// error in the last row is known before work starts on the first.
package dataset
