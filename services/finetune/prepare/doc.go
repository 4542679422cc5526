// Package prepare makes the rows of a data set into sequences to train on: it
// renders them by the chat template of the model, encodes them, and marks what
// counts in the loss. It counts what becomes of the rows.
//
//	p := prepare.New(tok, prepare.Config{FineTuner: s, Now: requestedAt})
//	tally := p.Tally(info, "fine_tuner.training_data_id")
//	for row, err := range p.Rows(ctx, set) {
//		…
//		tally.Add(row)
//	}
//	notes, err := tally.Notes(), tally.Failure()
//
// Rows are prepared on all processors, and come in the order of the data set. Only
// a few of them are in memory at a time.
package prepare
