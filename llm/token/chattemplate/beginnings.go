package chattemplate

import "github.com/tunebus/tunebus/llm/token/jinja"

// Ask names a beginning of a conversation: its first Length messages. Last, if it is
// not nil, stands in place of the last of them.
type Ask = jinja.Ask

// Beginning is the rendering of a beginning of a conversation. It shares its text with
// the others, so that the beginnings of a long conversation take little memory.
type Beginning = jinja.Beginning

// Trunk is a text that beginnings share.
type Trunk = jinja.Trunk

// Beginnings renders several beginnings of a conversation, in a time that grows with
// the conversation and not with its square. Each is what [Templates.Render] makes of
// these messages. ok is false if that is not possible with this template, or something
// fails: then Render tells.
func (t *Templates) Beginnings(c Conversation, asks []Ask) (map[Ask]Beginning, bool) {
	template, in, messages, err := t.input(c)
	if err != nil {
		return nil, false
	}
	normalized := make([]Ask, len(asks))
	for i, a := range asks {
		normalized[i] = a
		if a.Last != nil {
			normalized[i].Last = normal(a.Last)
		}
	}
	found, ok := template.Beginnings(in, messages.Items, normalized)
	if !ok {
		return nil, false
	}
	out := make(map[Ask]Beginning, len(asks))
	for i, a := range asks {
		out[a] = found[normalized[i]]
	}
	return out, true
}
