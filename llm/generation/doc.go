// Package generation answers prompts with a model, many of them at once (continuous
// batching): a row leaves when its answer is finished, and the next one that waits takes
// its place. All rows are computed together, so that the weights are read once a step.
//
//	b, err := llm.NewBatch(model, generation.Config{MaxSequences: 16, CacheTokens: 16 * 2048})
//	…
//	row, err := b.Add(generation.Prompt{IDs: ids, MaxNewTokens: 256, EOS: ends})
//	…
//	err = b.Drain(ctx) // a server has a goroutine that calls b.Run(ctx)
//	answer, err := row.Answer()
//
// # Answers
//
// What a row is answered depends on the model, its prompt and its [sampling.Config]
// alone, bit by bit: not on the other rows, on their order, on what the cache holds or on
// the number of threads.
//
// # Prefill and decode
//
// A step reads one token of each row that is being answered, and fills up with pieces of
// prompts, up to [Config.MaxBatchedTokens]: answers go on while a long prompt is read.
//
// # Memory
//
// A batch keeps the keys and values of [Config.CacheTokens] tokens at most. A row enters
// when there is room for its prompt and its longest answer, so that no row loses its
// place later. Rows enter in the order in which they were added.
//
// # Concurrency
//
// [Batch.Add], [Row.Cancel], [Row.Done] and [Batch.Load] may be called from all
// goroutines; one goroutine at a time calls [Batch.Step], [Batch.Drain] or [Batch.Run].
// Callbacks are called by it, between two steps, and all rows wait for them.
package generation
