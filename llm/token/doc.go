// Package token turns text into the ids of a model and back, and
// conversations into text, as the files beside a checkpoint say.
//
// # Files
//
// Open reads tokenizer.json (a byte-level BPE, as the models of the Llama-3
// and Qwen2 families carry it), tokenizer_config.json, and the chat template,
// which is chat_template.jinja, or else the key chat_template of
// tokenizer_config.json. Ids that end an answer come from
// generation_config.json, config.json and tokenizer_config.json together.
//
// # Limits
//
// Unigram, WordPiece and SentencePiece-style models are refused by Open with
// an error that wraps ErrUnsupported, rather than read wrongly. Encode adds no
// BOS of its own: chat templates write the one they want. Templates see no
// clock (strftime_now is undefined), so that a row renders the same today and
// tomorrow; the templates that use it have a fixed date to fall back on.
//
// # Concurrency
//
// A Tokenizer may be used by any number of goroutines at once.
package token
