// Package inputs fetches what a training starts from, the same for all engines: the
// base model, and the rows of the data sets as tokens.
//
//	base, err := inputs.FetchBase(ctx, job)
//	data, err := inputs.Prepare(ctx, job, base, nil)
//	defer data.Close()
package inputs
