// Package inputs reads what all engines of the inference phase read: the models of a
// job, the questions of its test set, and the prompts that a tokenizer makes of them.
package inputs
