// Package runwatch waits for what happens to a run: the decision on its
// request, each new fact, and its end.
//
// A wake-up from NATS only says that something may have changed: core NATS
// also shows publishes that the stream refused, and loses those of a time
// without a connection. A [Watcher] therefore reads the stream after each
// wake-up, and every second or two without one. It believes nothing but the
// stream.
//
// Every method returns when ctx ends, with the cause of that, unless its
// comment says otherwise. A request that was rejected is a [RejectedError].
//
//	w := runwatch.On(conn)
//	run, err := w.Follow(ctx, runwatch.Following{Run: id, OnFact: func(m codec.Message) { fmt.Println(m.Subject) }})
package runwatch
