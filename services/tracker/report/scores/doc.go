// Package scores reads the scores artifact of an evaluation and sums it up:
// statistics and a histogram for each metric.
//
// The artifact is JSON lines, one [Row] each. [Read] reads it as a stream, so
// the size of the texts does not matter; a [Summary] needs 8 bytes of memory
// for each score of a row, because exact quartiles need all of them.
//
//	for row, err := range scores.Read(ctx, open) {
//		if err != nil {
//			return err
//		}
//		...
//	}
package scores
