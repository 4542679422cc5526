package lossmask

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/llm/token/chattemplate"
	"github.com/tunebus/tunebus/llm/token/jinja/python"
)

// turns is a conversation whose beginnings are rendered.
type turns struct {
	Conversation
	masker   *Masker
	messages *python.List
	begun    *beginnings // nil if each rendering is made alone
}

// Conversation renders and masks a row with roles. The error says what the
// template refuses.
func (m *Masker) Conversation(c Conversation) (Row, error) {
	t := &turns{masker: m, Conversation: c}
	var err error
	if t.messages, err = chattemplate.Messages(c.Messages); err != nil {
		return Row{}, err
	}
	if !m.config.ResponsesOnly {
		return t.whole()
	}
	row := Row{}
	counting := t.counting(&row)
	if len(counting) == 0 {
		return row, nil
	}
	if t.begun = t.begin(counting); t.begun != nil {
		return t.row(row, counting, t.begun.whole)
	}
	whole, err := t.render(len(t.messages.Items), false)
	if err != nil {
		return Row{}, err
	}
	return t.row(row, counting, whole)
}

// row makes the one example of a conversation, or one for each answer.
func (t *turns) row(row Row, counting []int, whole chattemplate.Rendering) (Row, error) {
	spans, answers, ok, err := t.together(whole, counting)
	if err != nil {
		return Row{}, err
	}
	if ok {
		row.Examples = []Example{t.masker.encode(token.NewEncoder(t.masker.tok), whole.Text, t.marked(whole, spans, row.leftOut))}
		if len(whole.Generated) > 0 && !t.Pair && !row.leftOut {
			row.Unasked = 0
		}
		return row, nil
	}
	row.Split = len(counting) > 1
	encoder := token.NewEncoder(t.masker.tok)
	for i, at := range counting {
		var a answer
		if answers != nil {
			a = answers[i]
		} else if a, err = t.answer(at, whole); err != nil {
			return Row{}, err
		}
		text, from := t.asked(a, counting, &row)
		spans := [][2]int{{from, len(text)}}
		if text == a.told.Text {
			spans = t.marked(a.told, spans, true)
		}
		row.Examples = append(row.Examples, t.masker.encode(encoder, text, spans))
	}
	return row, nil
}

// together lists where the answers lie in the rendering of the whole conversation. ok
// is false if one of them is rendered otherwise there. The answers are there if they
// were rendered for it, each alone.
func (t *turns) together(whole chattemplate.Rendering, counting []int) (spans [][2]int, answers []answer, ok bool, err error) {
	if t.begun != nil {
		spans, ok = t.begun.together(counting)
		return spans, nil, ok, nil
	}
	answers = make([]answer, len(counting))
	for i, at := range counting {
		if answers[i], err = t.answer(at, whole); err != nil {
			return nil, nil, false, err
		}
	}
	spans, ok = together(whole.Text, answers)
	return spans, answers, ok, nil
}

// whole is a row of which every token counts.
func (t *turns) whole() (row Row, err error) {
	last := len(t.messages.Items) - 1
	all, err := t.render(last+1, false)
	if err != nil {
		return Row{}, err
	}
	text := all.Text
	if role, _ := field(t.messages.Items[last], "role"); role == "assistant" && last > 0 {
		if asked, err := t.render(last, true); err == nil {
			text, _ = t.asked(answer{at: last, asked: asked.Text, told: all}, nil, &row)
		}
	}
	row.Examples = []Example{t.masker.encode(token.NewEncoder(t.masker.tok), text, [][2]int{{0, len(text)}})}
	return row, nil
}

// counting lists the messages that count.
func (t *turns) counting(row *Row) []int {
	var out []int
	for i, item := range t.messages.Items {
		if role, _ := field(item, "role"); role != "assistant" {
			continue
		}
		if i < t.Prompted || slices.Contains(t.Unweighted, i) {
			row.leftOut = true
			continue
		}
		if i == 0 {
			row.Unasked++
			continue
		}
		out = append(out, i)
	}
	if t.masker.config.TrainOn == Last && len(out) > 1 {
		row.leftOut = true
		out = out[len(out)-1:]
	}
	return out
}

// field is a text of a message.
func field(message python.Value, name string) (string, bool) {
	dict, ok := message.(*python.Dict)
	if !ok {
		return "", false
	}
	v, _ := dict.Get(name)
	return python.Text(v)
}

// render renders the first messages.
func (t *turns) render(messages int, prompt bool) (chattemplate.Rendering, error) {
	if r, ok := t.begun.rendering(chattemplate.Ask{Length: messages}, prompt); ok {
		return r, nil
	}
	return t.masker.tok.RenderConversation(t.conversation(messages, prompt))
}

// conversation is what the first messages are rendered as.
func (t *turns) conversation(messages int, prompt bool) chattemplate.Conversation {
	return chattemplate.Conversation{
		Messages:            python.NewList(t.messages.Items[:messages]...),
		Tools:               t.Tools,
		AddGenerationPrompt: prompt,
		Variables:           t.masker.config.Variables,
		Now:                 t.masker.config.Now,
	}
}

// answer is a turn of the assistant: asked is the rendering of the messages before
// it, with the generation prompt, and told that of the messages up to it.
type answer struct {
	at    int
	asked string
	told  chattemplate.Rendering
}

func (t *turns) answer(at int, whole chattemplate.Rendering) (answer, error) {
	a := answer{at: at, told: whole}
	asked, err := t.render(at, true)
	if err != nil {
		return a, fmt.Errorf("message %d: the prompt for it: %w", at+1, err)
	}
	a.asked = shared(asked.Text, whole.Text)
	if at+1 < len(t.messages.Items) {
		if a.told, err = t.render(at+1, false); err != nil {
			return a, fmt.Errorf("message %d: %w", at+1, err)
		}
		a.told.Text = shared(a.told.Text, whole.Text)
	}
	return a, nil
}

// shared is a text, which has the memory of another one if it is its beginning: a long
// conversation has a rendering for each of its turns.
func shared(text, whole string) string {
	if strings.HasPrefix(whole, text) {
		return whole[:len(text)]
	}
	return text
}

// together lists where the answers lie in the rendering of the whole
// conversation. ok is false if one of them is rendered otherwise there.
func together(whole string, answers []answer) (spans [][2]int, ok bool) {
	for _, a := range answers {
		if !strings.HasPrefix(a.told.Text, a.asked) || !strings.HasPrefix(whole, a.told.Text) {
			return nil, false
		}
		spans = append(spans, [2]int{len(a.asked), len(a.told.Text)})
	}
	return spans, true
}

// marked replaces spans by the template's own marks where these decide. A span
// that no mark overlaps stays. Marks of turns that are left out are not taken.
func (t *turns) marked(r chattemplate.Rendering, spans [][2]int, leftOut bool) [][2]int {
	if t.Pair || len(r.Generated) == 0 {
		return spans
	}
	overlap := func(a, b [2]int) bool { return max(a[0], b[0]) < min(a[1], b[1]) }
	var out [][2]int
	for _, mark := range r.Generated {
		if !leftOut || slices.ContainsFunc(spans, func(s [2]int) bool { return overlap(s, mark) }) {
			out = append(out, mark)
		}
	}
	for _, s := range spans {
		if !slices.ContainsFunc(r.Generated, func(mark [2]int) bool { return overlap(s, mark) }) {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, func(a, b [2]int) int { return a[0] - b[0] })
	return out
}

// asked is the text of an answer behind the prompt that inference asks with, and
// where the answer begins.
func (t *turns) asked(a answer, counting []int, row *Row) (text string, from int) {
	shared := commonPrefix(a.asked, a.told.Text)
	if shared == len(a.asked) {
		return a.told.Text, shared
	}
	t.probe(counting)
	header, answer, ok := t.header(a)
	if !ok {
		row.Unlike = true
		return a.told.Text, shared
	}
	before := ""
	if plain, err := t.render(a.at, false); err == nil {
		before = plain.Text
	}
	// The prompt for an answer is what the generation prompt adds. The template
	// writes it before the answer too if only the turns before differ.
	prompt := a.asked[commonPrefix(before, a.asked):]
	own := header[commonPrefix(before, header):]
	if prompt == "" { // then the end of the question is what to look for
		prompt = a.asked[sharedEnd(a.asked, own):]
	}
	if i := strings.LastIndex(own, prompt); i >= 0 && prompt != "" {
		row.Diverged = true
		return a.asked + own[i+len(prompt):] + answer, len(a.asked)
	}
	row.PromptEnd = a.asked[commonPrefix(a.asked, header):]
	return a.asked + t.behind(a, row.PromptEnd, answer), len(a.asked)
}

// header divides the rendering of an answer into what stands before its content
// and the rest. A probe in its place finds it, since a content may occur twice, or
// begin as the text before it ends: "<b>" and "<think>" share a character. ok is
// false if the template leaves the content out.
func (t *turns) header(a answer) (header, rest string, ok bool) {
	r, ok := t.probed(a.at)
	if !ok {
		return "", "", false
	}
	if header, _, ok = strings.Cut(r.Text, probe); !ok {
		return "", "", false
	}
	rest, ok = strings.CutPrefix(a.told.Text, header)
	return header, rest, ok
}

// probe is a character of no language, which no template writes.
const probe = "\ue000"

// probing is a message with the probe as its content; nil if the
// message has no content that could be replaced.
func probing(item python.Value) *python.Dict {
	message, ok := item.(*python.Dict)
	if !ok {
		return nil
	}
	other := python.NewDict()
	for i := range message.Len() {
		other.Set(message.At(i))
	}
	other.Set("content", probe)
	return other
}

// probed is the rendering up to the message at a position, with the probe in it.
func (t *turns) probed(at int) (chattemplate.Rendering, bool) {
	if t.begun != nil && t.begun.probes[at] != nil {
		if r, ok := t.begun.rendering(chattemplate.Ask{Length: at + 1, Last: t.begun.probes[at]}, false); ok {
			return r, true
		}
	}
	other := probing(t.messages.Items[at])
	if other == nil {
		return chattemplate.Rendering{}, false
	}
	items := append(slices.Clone(t.messages.Items[:at]), other)
	r, err := (&turns{masker: t.masker, Conversation: t.Conversation, messages: python.NewList(items...)}).render(len(items), false)
	return r, err == nil
}

// behind is what follows a prompt whose end the template does not write before
// answers: told, the answer as the template writes it, and before it the end of a
// think block that the prompt has opened.
func (t *turns) behind(a answer, promptEnd, told string) string {
	tag := token.OpenThinking(promptEnd)
	if tag.Open == "" {
		return told
	}
	line := ""
	if !strings.HasSuffix(promptEnd, "\n") {
		line = "\n"
	}
	if rest, again := strings.CutPrefix(strings.TrimLeft(told, " \n"), tag.Open); again {
		return line + strings.TrimLeft(rest, "\n")
	}
	if strings.Contains(told, tag.Close) {
		return told
	}
	return line + t.reasoning(a.at, tag) + "\n" + tag.Close + "\n\n" + strings.TrimLeft(told, "\n")
}
