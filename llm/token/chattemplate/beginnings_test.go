package chattemplate_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/llm/token/chattemplate"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// memory are templates that remember something from one message to the next, or look
// around, in ways that the beginnings of a conversation must not share.
var memory = map[string]string{
	"a namespace that the end changes":  `{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{{ m.content }}{% endfor %}{% set ns.n = 0 %}{% set ns.more = 1 %}({{ ns.n }})`,
	"a namespace that the last changes": `{% set ns = namespace(n=0) %}{% for m in messages %}{% if loop.last %}{% set ns.n = 7 %}{% set ns.seen = true %}{% endif %}{{ ns.n }}{{ m.content }}{{ ns.seen }}{% endfor %}`,
	"a variable that the end sets":      `{% set x = 1 %}{% for m in messages %}{{ x }}{{ m.content }}{% endfor %}{% set x = 2 %}{% set y = 3 %}{{ x }}{{ y }}`,
	"a namespace in a namespace":        `{% set ns = namespace(inner=namespace(n=0)) %}{% for m in messages %}{% set i = ns.inner %}{% set i.n = i.n + m.content|length %}{{ i.n }} {% if loop.last %}{% set i.n = 0 %}{% endif %}{% endfor %}{{ ns.inner.n }}`,
	"a cycler":                          `{% set c = cycler('a', 'b', 'c') %}{% for m in messages %}{{ c.next() }}{% endfor %}{{ c.next() }}`,
	"a joiner in a list":                `{% set c = [joiner('-')] %}{% for m in messages %}{{ c[0]() }}{{ m.content }}{% endfor %}`,
	"a cycle of the loop":               `{% for m in messages %}{{ loop.cycle('a', 'b') }}{{ loop.index }}{% endfor %}`,
	"what changed":                      `{% for m in messages %}{{ loop.changed(m.role) }}{% endfor %}`,
	"a generator that is kept":          `{% set g = 'abcdefghij'|list|map('upper') %}{% for m in messages %}{% for x in g %}{{ x }}{% break %}{% endfor %}{% endfor %}`,
	"the next one":                      `{% for m in messages %}{{ loop.nextitem.content if not loop.last else 'end' }} {{ loop.previtem.role if not loop.first }}{% endfor %}`,
	"the neighbours":                    `{% for m in messages %}{{ messages[loop.index0 - 1].role if not loop.first }}{% if not loop.last and messages[loop.index0 + 1].role == m.role %}same{% endif %}{{ m.content }}{% endfor %}`,
	"the one after the next":            `{% for m in messages %}{{ messages[loop.index0 + 2].role }}{% endfor %}`,
	"the last at the end":               `{% for m in messages %}{{ m.content }}{% endfor %}{% if messages[-1].role == 'user' %}?{% endif %}{{ messages|length }}`,
	"the number before":                 `{{ messages|length }}{% for m in messages %}{{ m.content }}{% endfor %}`,
	"what is left":                      `{% for m in messages %}{{ loop.revindex }}{{ loop.length }}{% endfor %}`,
	"a break":                           `{% for m in messages %}{% if loop.index > 3 %}{% break %}{% endif %}{{ m.content }}{% else %}none{% endfor %}!`,
	"a condition":                       `{% for m in messages if m.role != 'system' %}{{ loop.index }}{{ m.content }}{% else %}none{% endfor %}!`,
	"a condition and the last":          `{% for m in messages if m.role != 'system' %}{{ m.content }}{% if loop.last %}.{% endif %}{% endfor %}`,
	"nothing left":                      `{% set rest = messages[2:] %}{% for m in rest %}{{ loop.index0 }}{{ m.content }}{% else %}none{% endfor %}{{ rest|length }}`,
	"two loops":                         `{% set ns = namespace(system='') %}{% for m in messages %}{% if m.role == 'system' %}{% set ns.system = m.content %}{% endif %}{% endfor %}<{{ ns.system }}>{% for m in messages %}{{ m.role }}{{ m.content }}{% if loop.last %}.{% endif %}{% endfor %}{{ ns.system }}`,
	"two loops that write":              `{% for m in messages %}{{ m.role }}{% endfor %}|{% for m in messages %}{{ m.content }}{% endfor %}`,
	"three loops":                       `{% set ns = namespace(n=0) %}{% for m in messages %}{% set ns.system = m.role == 'system' %}{% endfor %}{% for m in messages %}{% if m.role == 'system' %}{% set ns.n = 1 %}{% endif %}{% endfor %}{{ ns.n }}{% for m in messages %}{{ m.content }}{{ ns.n }}{% endfor %}`,
	"a macro":                           `{% set ns = namespace(n=0) %}{% macro one(m) %}{% set ns.n = ns.n + 1 %}{{ ns.n }}{{ m.content }}{{ x }}{% endmacro %}{% set x = 0 %}{% for m in messages %}{{ one(m) }}{% endfor %}{% set x = 5 %}{{ one(messages[0]) }}`,
	"a macro of the list":               `{% macro all() %}{% for m in messages %}{{ m.content }}{% endfor %}{% endmacro %}{{ all() }}`,
	"a loop in a block":                 `{% if messages[0].role == 'system' %}{% for m in messages[1:] %}{{ m.content }}{% endfor %}s{% else %}{% for m in messages %}{{ m.content }}{% endfor %}{% endif %}!`,
	"a loop with names around":          `{% with x = 1 %}{% for m in messages %}{{ m.content }}{{ x }}{% endfor %}{% endwith %}`,
	"another name":                      `{% set a = messages %}{% set b = a %}{% set a = a[1:] %}{% for m in b %}{{ m.content }}{% endfor %}{% for m in a %}{{ m.role }}{% endfor %}`,
	"the name of a message":             `{% for messages in messages %}{{ messages.content }}{% endfor %}`,
	"marks":                             `{% for m in messages %}{% generation %}{{ m.content }}{% if loop.last %}.{% endif %}{% endgeneration %}{% endfor %}{% generation %}!{% endgeneration %}`,
	"marks behind another loop":         `{% for m in messages %}{% endfor %}{% generation %}a{% endgeneration %}{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}`,
	"a refusal":                         `{% for m in messages %}{% if loop.index == 4 and loop.last %}{{ raise_exception('four') }}{% endif %}{{ m.content }}{% endfor %}`,
	"a refusal in the middle":           `{% for m in messages %}{% if loop.index == 4 %}{{ raise_exception('four') }}{% endif %}{{ m.content }}{% endfor %}`,
	"the list in a namespace":           `{% set ns = namespace(all=messages) %}{% for m in ns.all %}{{ m.content }}{% endfor %}`,
	"the list in a field":               `{% set ns = namespace(all=0) %}{% set ns.all = messages %}{% for m in ns.all %}{{ m.content }}{% endfor %}`,
	"names for a list":                  `{% set a, b = messages[0], 2 %}{{ a.role }}{% for m in messages %}{{ m.content }}{% endfor %}`,
	"a block of text":                   `{% set t %}{{ messages[0].content }}{% endset %}{% for m in messages %}{{ t }}{{ m.content }}{% endfor %}{% set t %}end{% endset %}{{ t }}`,
	"a filtered block":                  `{% filter upper %}{% for m in messages %}{{ m.content }}{% endfor %}{% endfilter %}`,
	"the loop in another":               `{% for m in messages %}{% set outer = loop %}{% for c in m.content %}{{ outer.index }}{% if loop.last %}{{ outer.last }}{% endif %}{% endfor %}{% endfor %}`,
	"the loop that is kept":             `{% set ns = namespace() %}{% for m in messages %}{{ ns.l.index }}{% set ns.l = loop %}{% endfor %}`,
	"the same list":                     `{% for m in messages %}{{ m in messages }}{% endfor %}{{ messages == messages }}{{ messages is sameas messages }}`,
}

// TestBeginningsAreTheirRenderings: random conversations, all beginnings of each, with
// the templates of the references and with those above, as one rendering after the
// other makes them.
func TestBeginningsAreTheirRenderings(t *testing.T) {
	t.Parallel()
	sources := map[string]string{}
	for name, source := range memory {
		sources["memory/"+name] = source
	}
	files, err := filepath.Glob("testdata/templates/*.jinja")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d templates, %v", len(files), err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources[filepath.Base(file)] = string(source)
	}
	shared := map[string]bool{}
	compared := 0
	for name, source := range sources {
		templates, err := open(t, map[string]string{"chat_template.jinja": source, "tokenizer_config.json": `{"bos_token": "<s>", "eos_token": "</s>"}`})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		random := rand.New(rand.NewPCG(1, uint64(len(source))))
		for range 20 {
			c := randomConversation(random)
			messages, err := chattemplate.Messages(c.Messages)
			if err != nil {
				t.Fatal(err)
			}
			probe := python.DictOf("role", "assistant", "content", "probe")
			var asks []chattemplate.Ask
			for n := range messages.Items {
				if random.IntN(4) > 0 {
					asks = append(asks, chattemplate.Ask{Length: n + 1})
				}
				if random.IntN(4) == 0 {
					asks = append(asks, chattemplate.Ask{Length: n + 1, Last: probe})
				}
			}
			random.Shuffle(len(asks), func(i, j int) { asks[i], asks[j] = asks[j], asks[i] })
			found, ok := templates.Beginnings(c, asks)
			if !ok {
				continue
			}
			shared[name] = true
			for _, a := range asks {
				one := c
				items := slices.Clone(messages.Items[:a.Length])
				if a.Last != nil {
					items[a.Length-1] = a.Last
				}
				one.Messages = python.NewList(items...)
				want, err := templates.Render(one)
				b, there := found[a]
				if err != nil || !there {
					t.Errorf("%s: %d messages: %v, %v", name, a.Length, err, there)
					continue
				}
				if got := b.Output(); got.Text != want.Text || !slices.Equal(got.Generated, want.Generated) {
					t.Errorf("%s: %d messages of %s, probe %v:\n%q %v, alone\n%q %v", name, a.Length, c.Messages, a.Last != nil, got.Text, got.Generated, want.Text, want.Generated)
				}
				compared++
			}
		}
	}
	var alone []string
	for name := range sources {
		if !shared[name] {
			alone = append(alone, name)
		}
	}
	slices.Sort(alone)
	t.Logf("%d renderings are equal; each alone: %s", compared, strings.Join(alone, ", "))
	// The templates whose text of a message depends on all that follow.
	want := []string{"chatml-thinking.jinja", "inst-tools.jinja"}
	alone = slices.DeleteFunc(alone, func(name string) bool { return !strings.HasSuffix(name, ".jinja") })
	if !slices.Equal(alone, want) {
		t.Errorf("rendered each alone: %v, want %v", alone, want)
	}
}

// randomConversation has roles in an order that templates take, or in any.
func randomConversation(random *rand.Rand) chattemplate.Conversation {
	type call struct {
		Type     string         `json:"type"`
		Function map[string]any `json:"function"`
	}
	type message struct {
		Role      string `json:"role"`
		Content   any    `json:"content"`
		Reasoning string `json:"reasoning_content,omitempty"`
		Calls     []call `json:"tool_calls,omitempty"`
		Name      string `json:"name,omitempty"`
		CallID    string `json:"tool_call_id,omitempty"`
	}
	text := func() string {
		words := []string{"Where", " is", " the ferry", "?", "\n", "At pier 4.", "<think>hm</think>", " ", "ä", "</s>"}
		var b strings.Builder
		for range random.IntN(4) {
			b.WriteString(words[random.IntN(len(words))])
		}
		return b.String()
	}
	var messages []message
	if random.IntN(2) == 0 {
		messages = append(messages, message{Role: "system", Content: text()})
	}
	odd := random.IntN(3) == 0
	for len(messages) < 1+random.IntN(12) {
		if odd {
			messages = append(messages, message{Role: []string{"user", "assistant", "system", "tool"}[random.IntN(4)], Content: text()})
			continue
		}
		messages = append(messages, message{Role: "user", Content: text()})
		if random.IntN(4) == 0 {
			for range 1 + random.IntN(2) {
				messages = append(messages,
					message{Role: "assistant", Content: "", Calls: []call{{Type: "function", Function: map[string]any{"name": "find", "arguments": map[string]any{"pier": random.IntN(9)}}}}},
					message{Role: "tool", Name: "find", CallID: "abcdefghi", Content: text()})
			}
		}
		answer := message{Role: "assistant", Content: text()}
		if random.IntN(4) == 0 {
			answer.Reasoning = text()
		}
		messages = append(messages, answer)
	}
	raw, _ := json.Marshal(messages)
	c := chattemplate.Conversation{Messages: json.RawMessage(raw), AddGenerationPrompt: random.IntN(2) == 0, Now: time.Unix(1e9, 0)}
	if random.IntN(3) == 0 {
		c.Tools = json.RawMessage(fmt.Sprintf(`[{"type": "function", "function": {"name": "find", "description": %q, "parameters": {"type": "object", "properties": {"pier": {"type": "integer"}}}}}]`, "finds a ferry"))
	}
	if random.IntN(4) == 0 {
		c.Variables = map[string]any{"enable_thinking": random.IntN(2) == 0}
	}
	return c
}
