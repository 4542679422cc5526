// Package finetune is the fine-tuning phase: its engine trains the base model,
// or an adapter for it, on the run's questions and answers. It stores the result
// in the format of Hugging Face tools.
package finetune
