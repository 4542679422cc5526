// Package preview makes a look at a data set: its shape, its counts, the lengths of
// its rows in tokens, and its first rows as the model will see them.
//
//	p, err := preview.Of(ctx, data, name, renderer, 3)
//
// The rows are read, rendered and counted by the code that the engines use. All of
// them are read, and a few of them are in memory.
package preview
