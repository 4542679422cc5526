// Package deadletter keeps the messages that a consumer gave up, and gives them
// back to it: list, show, redrive, discard.
//
// A dead letter is a copy of the message in the stream of dead letters, with
// the reason, the consumer, and the place of the original as headers. Each
// consumer stores a letter of its own. [Queue.Redrive] publishes the message
// again, whole and under a new id: a request for everybody, a fact for the
// consumer that gave it up alone. It may be repeated; one letter is redriven
// once.
//
//	q := deadletter.New(c)
//	r, err := delivery.NewRouter(c, q, log) // the router stores letters in q
//	r.Add(q.MaxDeliveriesRoute())           // letters of consumers that died
package deadletter
