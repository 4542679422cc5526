package lossmask

import (
	"strings"

	"github.com/tunebus/tunebus/llm/token/chattemplate"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// beginnings are the renderings of a conversation up to each of its answers, which are
// made together: one after the other they take the square of the time.
type beginnings struct {
	// asked have the generation prompt at their end, told have none.
	asked, told map[chattemplate.Ask]chattemplate.Beginning
	whole       chattemplate.Rendering
	// common is how much of a trunk the whole conversation begins with.
	common map[*chattemplate.Trunk]int
	// probes stand for answers, by their positions; nil until they are asked for.
	probes map[int]*python.Dict
}

// begin renders what the answers at these positions need. It returns nil if the
// template does not allow it, or refuses something.
func (t *turns) begin(counting []int) *beginnings {
	if t.masker.alone {
		return nil
	}
	n := len(t.messages.Items)
	asked, told := make([]chattemplate.Ask, len(counting)), []chattemplate.Ask{{Length: n}}
	for i, at := range counting {
		asked[i] = chattemplate.Ask{Length: at}
		if at+1 < n {
			told = append(told, chattemplate.Ask{Length: at + 1})
		}
	}
	templates := t.masker.tok.Templates()
	b := &beginnings{common: map[*chattemplate.Trunk]int{}}
	var ok bool
	if b.told, ok = templates.Beginnings(t.conversation(n, false), told); !ok {
		return nil
	}
	if b.asked, ok = templates.Beginnings(t.conversation(n, true), asked); !ok {
		return nil
	}
	b.whole = chattemplate.Rendering(b.told[told[0]].Output())
	return b
}

// within reports whether the whole conversation begins with one of its beginnings.
func (b *beginnings) within(one chattemplate.Beginning) bool {
	common, ok := b.common[one.Trunk]
	if !ok {
		common = commonPrefix(one.Trunk.Text, b.whole.Text)
		b.common[one.Trunk] = common
	}
	return one.Shared <= common && strings.HasPrefix(b.whole.Text[one.Shared:], one.Rest)
}

// together is as the function of this name.
func (b *beginnings) together(counting []int) (spans [][2]int, ok bool) {
	for _, at := range counting {
		asked, told := b.asked[chattemplate.Ask{Length: at}], b.told[chattemplate.Ask{Length: at + 1}]
		from, to := asked.Shared+len(asked.Rest), told.Shared+len(told.Rest)
		if from > to || !b.within(asked) || !b.within(told) {
			return nil, false
		}
		spans = append(spans, [2]int{from, to})
	}
	return spans, true
}

// rendering is the one of the first messages, if it was made.
func (b *beginnings) rendering(a chattemplate.Ask, prompt bool) (chattemplate.Rendering, bool) {
	if b == nil {
		return chattemplate.Rendering{}, false
	}
	found := b.told
	if prompt {
		found = b.asked
	}
	one, ok := found[a]
	if !ok {
		return chattemplate.Rendering{}, false
	}
	return chattemplate.Rendering(one.Output()), true
}

// probe renders what [turns.header] and [turns.asked] compare answers with, for all
// answers once one of them needs it.
func (t *turns) probe(counting []int) {
	b := t.begun
	if b == nil || b.probes != nil {
		return
	}
	b.probes = make(map[int]*python.Dict, len(counting))
	var asks []chattemplate.Ask
	for _, at := range counting {
		asks = append(asks, chattemplate.Ask{Length: at})
		if b.probes[at] = probing(t.messages.Items[at]); b.probes[at] != nil {
			asks = append(asks, chattemplate.Ask{Length: at + 1, Last: b.probes[at]})
		}
	}
	found, _ := t.masker.tok.Templates().Beginnings(t.conversation(len(t.messages.Items), false), asks)
	for a, one := range found {
		if _, ok := b.told[a]; !ok {
			b.told[a] = one
		}
	}
}
