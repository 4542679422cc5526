// Package runtable writes lists of runs, which may be very long: block by block,
// so that neither the list nor its text is ever held as a whole.
//
//	err := console.Stream(func(w io.Writer, asJSON bool) error {
//		table := runtable.New(w, asJSON)
//		...
//		return errors.Join(table.Write(rows), table.End("127.0.0.1:4222 knows no runs yet"))
//	})
//
// A terminal that is too narrow gets two lines for a run.
package runtable
