// Package llm trains and runs causal language models in Go, the built-in engine.
// It reads Hugging Face checkpoints of the Llama, Qwen2 and Qwen3 families,
// trains them or an adapter for them, and generates. It works on token ids and
// knows nothing of events or texts.
//
// Weights that learn are float32. A frozen matrix stays in the type that its
// checkpoint has, or in the four or eight bits to which it is quantised when it is
// opened; what is computed with it are the same numbers in float32. Package net
// computes the forward
// and the backward pass, package kernel has the loops over numbers. Package
// generation answers many prompts at once, package sampling chooses tokens. Results
// depend neither on the processor's instructions nor on the number of threads.
package llm
