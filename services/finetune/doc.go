// Package finetune is the first phase: it trains the base model, or an
// adapter for it, on the run's questions and answers with the built-in
// engine, and stores what it learned as Hugging Face tools read it.
package finetune
