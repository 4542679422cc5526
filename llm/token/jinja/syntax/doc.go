// Package syntax reads the source of a Jinja template into a tree.
//
// It reads what Jinja2 3.1 reads in the environment in which transformers
// renders chat templates: trim_blocks and lstrip_blocks are on, the extension
// loopcontrols and the block generation are there. What belongs to the language
// and is not covered here is refused by [Parse] with an [*Error] that names
// the construct and its line, so that no template is rendered wrongly.
//
// The nesting of a template is bounded, so that no source exhausts the stack.
package syntax
