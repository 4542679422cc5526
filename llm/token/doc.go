// Package token turns text into the ids of a model and back, and
// conversations into text, as the files beside a checkpoint say.
//
// # Files
//
// Open reads tokenizer.json (a byte-level BPE, as the models of the Llama-3
// and Qwen2 families carry it, a BPE of characters with bytes for the rest, as those
// of Llama 2 and Gemma do, or a Unigram), tokenizer_config.json, special_tokens_map.json
// and the chat templates, see package chattemplate. Ids that end an answer come
// from generation_config.json, config.json and the special tokens together.
//
// # Limits
//
// Other models, and parts of tokenizer.json that are not known, are refused by Open with
// an error that wraps ErrUnsupported, rather than read wrongly. Added
// tokens are looked for in the text as it is, also those that tokenizer.json has
// as normalized. Encode adds no
// BOS of its own: chat templates write the one they want, and Begin
// puts before other texts what tokenizer.json says.
//
// # Concurrency
//
// A Tokenizer may be used by any number of goroutines at once.
package token
