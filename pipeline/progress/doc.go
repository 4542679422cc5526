// Package progress tells work that goes on from work that hangs.
//
// A [Monitor] watches one job. The job is in a [Stage], such as [Train], and
// counts what it gets done there: bytes, rows, tokens, steps. A stage in which
// nothing was counted for longer than its limit is a [Stall]:
//
//	m := progress.New(progress.Limits{progress.Fetch: 10 * time.Minute}, progress.Fetch)
//	defer m.Watch(progress.Callbacks{OnStall: func(s *progress.Stall) { … }})()
//	ctx = progress.With(ctx, m)
//	…
//	io.Copy(file, progress.Reader(ctx, body)) // counts bytes
//
// # Stages inside a stage
//
// An upload in the middle of a training is a stage inside another one
// ([Enter]). Only the innermost stage has a running clock. The clock of the
// stage around it stands still meanwhile, and goes on where it stood when the
// inner stage has ended: an upload is no step, and it costs the training no
// time. So a job that stores the same file again and again stalls, too.
//
// Work that is done in parallel may open stages from several goroutines. The
// one that was opened last counts as the innermost.
//
// # What hangs
//
// Whoever calls something that may hang names it ([Doing]), such as
// "reading rows.jsonl". A stall then says so.
//
// # Waits
//
// Whoever knows that it waits for something, and for how long at most, says so
// ([Wait]). The limit of the wait then holds instead of the stage's. A wait with
// the limit 0 has none, such as for a server that has to come back.
//
// # Promise
//
// A job that counts something within each limit is never stalled. The monitor
// has a goroutine of its own and takes no lock, so that no hanging engine, store
// or request can hold it up. It counts only time in which it ran itself: a
// machine that was suspended, or a process that was stopped, has lost no time
// when it goes on.
package progress
