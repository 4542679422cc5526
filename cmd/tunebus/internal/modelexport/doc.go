// Package modelexport writes the model of a run as a folder that transformers,
// PEFT and vLLM load.
//
// # What is in the folder
//
// The whole model where all weights were trained. Else the adapter, whose
// adapter_config.json names a base model that can be found from any working
// folder: its id of the Hub, its absolute path, or the folder "base" beside it.
// With Merge, the base model with the adapter merged into its weights. And in
// any case the tokenizer with its chat template, and a model card.
//
// # Promises
//
// A new folder appears whole or not at all: it is written under another name
// beside its place and renamed. A folder that is there, also behind a link,
// stays the one that it is. The files are written in a folder ".export-…" of it
// and moved, the configurations last, so that a half of them is no model. With
// Force it need not be empty, and nothing is replaced but what an export wrote
// and nobody changed since.
package modelexport
