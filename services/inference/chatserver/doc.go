// Package chatserver serves models over OpenAI's API: chat completions and text
// completions, whole or as a stream, the list of models, and a sign of health. Package
// servedmodel has the models.
//
//	s := chatserver.New(chatserver.Options{Models: models, Queue: 64, …})
//	err := s.Serve(ctx, listener) // until ctx ends, then it drains
//
// # A request
//
// A request takes its place in the queue, is rendered by the chat template, and is added
// to the batch of its model. The tokens of a stream come into a buffer, from which the request's own goroutine
// takes them, so that a client that reads slowly holds up nobody else. A client that goes
// away ends its generation. Every fault of a request is an error object that names the
// parameter, before anything is generated.
//
// # Bounds
//
// Nothing that a client sends decides how much memory is taken: the body, all bodies
// together, the header, the requests that are open at once and the time for each read and
// write have limits. Beyond those the answer is 429 with Retry-After, 413, or 408.
package chatserver
