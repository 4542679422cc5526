// Package llm trains and runs causal language models in Go, the built-in engine.
// It reads Hugging Face checkpoints of the Llama, Qwen2 and Qwen3 families,
// trains them or an adapter for them, and generates. It works on token ids and
// knows nothing of events or texts.
//
// Weights are kept as float32 in this process; the forward and the backward
// pass are GoMLX graphs on its Go backend. The optimizer runs on the host.
package llm
