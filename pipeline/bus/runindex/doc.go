// Package runindex keeps one line for each run in the bucket tunebus_runs, so
// that a list of very many runs need not read their facts. The lines are a
// cache: the facts alone decide, and whoever lists runs gets them right whether
// the cache is new, old, or gone.
//
//	for line, err := range runindex.New(c).Newest(ctx, state) {
//		...
//	}
//
// # Pages
//
// A page holds the lines of the runs whose accepted facts lie in one stretch of
// the stream of facts, 128 sequences long. So pages are in the order in which
// runs were accepted, a list reads them from the newest on, and never holds more
// than a few. Many runs that change at the same time cost one write a page.
//
// # Results
//
// A list as JSON has the whole summary of each run. The summaries of a page lie in a key of
// their own, compressed, since they are several times as long as its lines, which other
// lists read. A summary belongs to a line by the newest fact of both: one that is missing or
// older is left out, and the list reads the facts of that run.
//
// # Writing
//
// One process at a time calls [Index.Update], which brings the lines up to the
// newest fact: it reads the facts beyond [State.Through], folds those of each run, and
// replaces its line. Of a run that was accepted before it reads the other facts as well,
// unless it succeeded: its accepted fact and its end have all that a line shows. A page is replaced only if nobody else
// wrote it meanwhile. The fact at [State.Through] and all before it are in the
// lines; what comes behind it a reader takes from the facts. A bucket that is new
// or lost, and one that belongs to another stream, is filled again from the
// beginning.
//
// The archiver writes the line of a run anew, from all its facts and marked, before it
// removes these: nobody else can bring it up to date later. The line
// of a deleted run goes with the next update.
//
// Its tests with a real server are in embedded/bustest.
package runindex
