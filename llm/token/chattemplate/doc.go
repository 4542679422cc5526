// Package chattemplate renders conversations by the chat templates of a
// checkpoint, as apply_chat_template of transformers 5 does.
//
// # Files
//
// [Open] reads chat_template.jinja and additional_chat_templates/*.jinja; if
// there is neither, the key chat_template of tokenizer_config.json, a text or a
// list of named ones. Of several, "tool_use" renders conversations with tools
// and "default" all others, unless the conversation names one. Special tokens
// come from tokenizer_config.json and, in checkpoints without the key
// added_tokens_decoder, from special_tokens_map.json, which then counts more.
//
// # What a template sees
//
// messages, tools and documents (None where there are none),
// add_generation_prompt, the special tokens by their names, and the variables
// of the conversation, which may replace a special token. As in transformers,
// keys of a message that are null are left out, and reasoning is there under
// the names reasoning_content and thinking, whichever the message used.
//
// # Time
//
// strftime_now tells the time that the conversation says, so that all rows of a
// run can be rendered on the same day, or else that at which the templates were
// opened.
//
// # Concurrency
//
// Templates may be rendered by any number of goroutines at once.
package chattemplate
