package lossmask_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/llm/token/lossmask"
)

const chatml = "{% for m in messages %}<|user|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|user|>assistant\n{% endif %}"

// talk is a conversation of questions and answers in turn.
func talk(turns ...string) lossmask.Conversation {
	var messages []token.Message
	for i, text := range turns {
		messages = append(messages, token.Message{Role: []string{"user", "assistant"}[i%2], Content: text})
	}
	raw, _ := json.Marshal(messages)
	return lossmask.Conversation{Messages: json.RawMessage(raw)}
}

// learned is the text of the tokens that count, of each example.
func learned(tok *token.Tokenizer, row lossmask.Row) []string {
	var out []string
	for _, e := range row.Examples {
		var ids []int32
		for i, id := range e.IDs {
			if e.Count[i] {
				ids = append(ids, id)
			}
		}
		out = append(out, tok.Decode(ids, false))
	}
	return out
}

// TestWhatCounts: the answers with their ends, whatever stands in a question or an
// answer.
func TestWhatCounts(t *testing.T) {
	t.Parallel()
	two := talk("Where?", "At pier 4.", "When?", "At nine.")
	prompted := two
	prompted.Prompted = 3
	unweighted := two
	unweighted.Unweighted = []int{3}
	for name, c := range map[string]struct {
		template string
		row      lossmask.Conversation
		config   lossmask.Config
		want     []string
		check    func(lossmask.Row) bool
	}{
		"all answers":       {row: two, want: []string{"At pier 4.<|end|>\nAt nine.<|end|>\n"}},
		"the last answer":   {row: two, config: lossmask.Config{TrainOn: lossmask.Last}, want: []string{"At nine.<|end|>\n"}},
		"a prompt of turns": {row: prompted, want: []string{"At nine.<|end|>\n"}},
		"without weight":    {row: unweighted, want: []string{"At pier 4.<|end|>\n"}},
		"markers in a question": {
			row:  talk("Rewrite:\n<|end|>\n<|user|>assistant\nthe pier is shut", "The pier is closed."),
			want: []string{"The pier is closed.<|end|>\n"},
		},
		"markers in an answer": {row: talk("Show.", "Write <|user|>user\nhi<|end|> and wait."), want: []string{"Write <|user|>user\nhi<|end|> and wait.<|end|>\n"}},
		"an empty answer":      {row: talk("Say nothing.", ""), want: []string{"<|end|>\n"}},
		"no answer":            {row: talk("Where?"), want: nil},
		"an answer to nothing": {
			row:   lossmask.Conversation{Messages: []any{map[string]any{"role": "assistant", "content": "Hello."}, map[string]any{"role": "user", "content": "Hi."}}},
			check: func(r lossmask.Row) bool { return r.Unasked == 1 },
		},
		"a blank before answers": {
			template: "{% for m in messages %}{% if m.role == 'user' %}<|user|>{{ m.content }} >>{% else %}{{ ' ' + m.content }} <|end|>{% endif %}{% endfor %}",
			row:      talk("Where?", "At pier 4."), want: []string{" At pier 4. <|end|>"},
		},
		"a separator between turns": {
			template: "{% for m in messages %}{% if not loop.first %}{{ '\n' }}{% endif %}<|user|>{{ m.role }}\n{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}{{ '\n' }}<|user|>assistant\n{% endif %}",
			row:      two, want: []string{"At pier 4.<|end|>At nine.<|end|>"},
		},
		"a separator that prompts lack": { // Jinja drops the line break behind the block
			template: "{% for m in messages %}{% if not loop.first %}{{ '\n' }}{% endif %}<|user|>{{ m.role }}\n{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}\n<|user|>assistant\n{% endif %}",
			row:      talk("Where?", "At pier 4."), want: []string{"At pier 4.<|end|>"},
			check: func(r lossmask.Row) bool {
				return r.Diverged && r.Examples[0].Text == "<|user|>user\nWhere?<|end|><|user|>assistant\nAt pier 4.<|end|>"
			},
		},
		"earlier answers are shortened": {
			template: "{% for m in messages %}<|user|>{{ m.role }}\n{{ m.content.split('</think>')[-1] if not loop.last else m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|user|>assistant\n{% endif %}",
			row:      talk("Where?", "<think>hm</think>At pier 4.", "When?", "<think>so</think>At nine."),
			want:     []string{"<think>hm</think>At pier 4.<|end|>\n", "<think>so</think>At nine.<|end|>\n"},
			check:    func(r lossmask.Row) bool { return r.Split },
		},
		"a prompt that thinks": {
			template: chatml[:len(chatml)-len("{% endif %}")] + "<think>\n{% endif %}",
			row:      talk("Where?", "<b>At pier 4.</b>"), want: []string{"\n</think>\n\n<b>At pier 4.</b><|end|>\n"},
			check: func(r lossmask.Row) bool {
				return r.PromptEnd == "<think>\n" && r.Examples[0].Text == "<|user|>user\nWhere?<|end|>\n<|user|>assistant\n<think>\n\n</think>\n\n<b>At pier 4.</b><|end|>\n"
			},
		},
		"a prompt that thinks, and an answer": {
			template: chatml[:len(chatml)-len("{% endif %}")] + "<think>{% endif %}",
			row:      talk("Where?", "<think>\nPier 3 or 4.\n</think>\n\nAt pier 4."), want: []string{"\nPier 3 or 4.\n</think>\n\nAt pier 4.<|end|>\n"},
		},
		"a prompt that thinks, and reasoning of its own": {
			template: "{% for m in messages %}<|user|>{{ m.role }}\n{{ m.content.split('</think>')[-1] }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|user|>assistant\n<think>\n{% endif %}",
			row:      talk("Where?", "<think>Pier 3 or 4.</think>At pier 4."), want: []string{"Pier 3 or 4.\n</think>\n\nAt pier 4.<|end|>\n"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.template == "" {
				c.template = chatml
			}
			c.config.ResponsesOnly = true
			tok := withTemplate(t, c.template)
			row, err := lossmask.New(tok, c.config).Conversation(c.row)
			if err != nil {
				t.Fatal(err)
			}
			if got := learned(tok, row); !slices.Equal(got, c.want) {
				t.Errorf("counts %q, want %q", got, c.want)
			}
			if c.check != nil && !c.check(row) {
				t.Errorf("%+v", row)
			}
		})
	}
}

// TestEveryTokenCounts where not only answers do, and in texts.
func TestEveryTokenCounts(t *testing.T) {
	t.Parallel()
	tok := withTemplate(t, chatml)
	row, err := lossmask.New(tok, lossmask.Config{}).Conversation(talk("Where?", "At pier 4."))
	if want := []string{"<|user|>user\nWhere?<|end|>\n<|user|>assistant\nAt pier 4.<|end|>\n"}; err != nil || !slices.Equal(learned(tok, row), want) {
		t.Errorf("%q, %v", learned(tok, row), err)
	}
	markers := lossmask.Markers{Question: "Q:", Answer: "A:"}
	for text, want := range map[string]string{
		"The ferry leaves.":          "The ferry leaves.</s>",
		"The ferry leaves.</s>\n":    "The ferry leaves.</s>\n",
		"Q: Where? A: Here. Q: And?": " Here. ", // it was rendered already
		"A: Here.":                   "A: Here.</s>",
	} {
		row := lossmask.New(tok, lossmask.Config{ResponsesOnly: true, Markers: markers}).Text(text)
		if got := strings.Join(learned(tok, row), "|"); got != want {
			t.Errorf("%q: counts %q, want %q", text, got, want)
		}
	}
	row = lossmask.New(tok, lossmask.Config{Markers: markers}).Text("Q: Where? A: Here.")
	if got := learned(tok, row)[0]; got != "Q: Where? A: Here.</s>" {
		t.Errorf("markers decide although every token counts: %q", got)
	}
}

// TestCutsAreTold: what an example loses depends on where it is cut.
func TestCutsAreTold(t *testing.T) {
	t.Parallel()
	tok := withTemplate(t, chatml)
	whole, err := lossmask.New(tok, lossmask.Config{ResponsesOnly: true}).Conversation(talk("Where?", "At pier 4.", "When?", "At nine.", "Thanks."))
	if err != nil {
		t.Fatal(err)
	}
	full := whole.Examples[0]
	counted := positions(full.Count)
	first, last := counted[0], counted[len(counted)-1]
	second := first
	for full.Count[second] {
		second++
	}
	for limit, want := range map[int]lossmask.Cut{
		len(full.IDs): lossmask.Whole,
		last + 1:      lossmask.Whole, // the thanks are cut, which nobody learns
		last:          lossmask.InAnswer,
		second:        lossmask.InPrompt,
		second - 1:    lossmask.InAnswer,
		first + 1:     lossmask.InAnswer,
		first:         lossmask.InPrompt, // nothing of the answer is left
		first - 1:     lossmask.InPrompt,
	} {
		row, err := lossmask.New(tok, lossmask.Config{ResponsesOnly: true, MaxTokens: limit}).Conversation(talk("Where?", "At pier 4.", "When?", "At nine.", "Thanks."))
		if err != nil {
			t.Fatal(err)
		}
		e := row.Examples[0]
		if e.Cut != want || e.Tokens != len(full.IDs) || !slices.Equal(e.IDs, full.IDs[:limit]) || !slices.Equal(e.Count, full.Count[:limit]) {
			t.Errorf("cut to %d: %d, want %d; %d tokens", limit, e.Cut, want, len(e.IDs))
		}
	}
}

// TestARefusedRowNamesItsMessage: people learn which turn a template does not take.
func TestARefusedRowNamesItsMessage(t *testing.T) {
	t.Parallel()
	tok := withTemplate(t, "{% for m in messages %}{% if add_generation_prompt and loop.last and 'x' in m.content %}{{ raise_exception('no x') }}{% endif %}{{ m.content }}{% endfor %}")
	masker := lossmask.New(tok, lossmask.Config{ResponsesOnly: true})
	if _, err := masker.Conversation(talk("a", "b", "x", "d")); err == nil || !strings.Contains(err.Error(), "message 4") || !strings.Contains(err.Error(), "no x") {
		t.Errorf("%v", err)
	}
	if _, err := masker.Conversation(lossmask.Conversation{Messages: "hello"}); err == nil || !strings.Contains(err.Error(), "messages") {
		t.Errorf("%v", err)
	}
}
