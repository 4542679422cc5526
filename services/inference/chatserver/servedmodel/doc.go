// Package servedmodel is a model that clients of a server ask: its names, its tokenizer
// with the chat template, and the batch of the built-in engine that answers all requests
// for it together.
//
//	weights, err := llm.Open(folder)
//	m, err := servedmodel.New(servedmodel.Options{Names: []string{"tuned"}, Weights: weights, Tokenizer: tokenizer, …})
//	…
//	defer m.Close()
package servedmodel
