// Package publishing pushes what a run made to the Hugging Face Hub, once the run has
// ended: its model, and its answers and scores as data sets.
//
// It is a projection, as tracking is: a consumer of its own takes the ends of runs, and
// everything is derived from the facts of the run. What became of each product is a
// fact, [events.PublishedCompleted], and never changes the run's own conclusion. A push
// that is repeated, by another process or after a crash, makes no second commit (package
// hubpush).
//
//	p, err := publishing.New(connection, store, publishing.ConfigFrom(settings))
//	router.Add(p.Route())
//
// What is pushed is decided in decide.go, where to in names.go, and of which files it
// consists in products.go.
//
// # Tries
//
// The Hub may be out of reach. Then the message comes again, with growing delays; after
// [Config.Tries] the error is stored as the fact, and a person repeats the push by
// "tunebus replay publishing" ([Publisher.Replay]). What the Hub refuses is stored at
// once.
package publishing
