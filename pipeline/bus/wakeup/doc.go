// Package wakeup wakes goroutines that wait for news about a run. It listens to core
// NATS, which also shows publishes that the stream then refused, and shows
// nothing while the connection is down. A wake-up therefore proves nothing: its
// receiver reads the stream before it believes anything. Every reconnect is a
// wake-up as well.
//
// [Watch] serves one waiter, [RunNotifier] many runs behind one set of
// subscriptions. [Listen] hands over the messages themselves, for a screen.
//
//	changed, err := wakeup.Watch(ctx, c, events.RunFilters(run)...)
//	for range changed {
//		run, err := history.Run(ctx, id) // read the stream
//		…
//	}
//
// Its tests with a real server are in embedded/bustest.
package wakeup
