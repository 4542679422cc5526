package lossmask_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token/lossmask"
)

// TestTogetherAsAlone: random conversations become the same examples whether their
// beginnings are rendered and encoded together, or each alone.
func TestTogetherAsAlone(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(templates + "templates/*.jinja")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d templates, %v", len(files), err)
	}
	sources := map[string]string{
		"a prompt that thinks": chatml[:len(chatml)-len("{% endif %}")] + "<think>\n{% endif %}",
		"a separator":          "{% for m in messages %}{% if not loop.first %}{{ '\n' }}{% endif %}<|user|>{{ m.role }}\n{{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}\n<|user|>assistant\n{% endif %}",
		"a last turn":          "{% for m in messages %}<|user|>{{ m.role }}\n{{ m.content.split('</think>')[-1] if not loop.last else m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|user|>assistant\n{% endif %}",
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		sources[filepath.Base(file)] = string(source)
	}
	rows, split, diverged, ended := 0, 0, 0, 0
	for name, source := range sources {
		tok := withTemplate(t, source)
		random := rand.New(rand.NewPCG(3, uint64(len(source))))
		for range 30 {
			c := randomTalk(random)
			config := lossmask.Config{ResponsesOnly: random.IntN(8) > 0, MaxTokens: random.IntN(2) * random.IntN(200), Now: today}
			if random.IntN(5) == 0 {
				config.TrainOn = lossmask.Last
			}
			got, err := lossmask.New(tok, config).Conversation(c)
			want, failed := lossmask.New(tok, config).Alone().Conversation(c)
			if fmt.Sprint(err) != fmt.Sprint(failed) {
				t.Errorf("%s: %s: %v, alone %v", name, c.Messages, err, failed)
				continue
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %s\n%+v\nalone\n%+v", name, c.Messages, got, want)
			}
			rows++
			for n, yes := range map[*int]bool{&split: got.Split, &diverged: got.Diverged, &ended: got.PromptEnd != ""} {
				if yes {
					*n++
				}
			}
		}
	}
	if split < 50 || diverged < 10 || ended < 10 {
		t.Errorf("of %d rows only %d are several examples, %d diverge, %d have the end of a prompt", rows, split, diverged, ended)
	}
	t.Logf("%d rows: %d are several examples, %d diverge, %d have the end of a prompt", rows, split, diverged, ended)
}

func randomTalk(random *rand.Rand) lossmask.Conversation {
	text := func() string {
		words := []string{"Where", " is", " the ferry", "?", "\n", "At pier 4.", "<think>hm</think>", "<think>\n", " ", "ä", "</s>", "<|end|>", "\ue000"}
		var b strings.Builder
		for range random.IntN(5) {
			b.WriteString(words[random.IntN(len(words))])
		}
		return b.String()
	}
	var messages []map[string]any
	if random.IntN(3) == 0 {
		messages = append(messages, map[string]any{"role": "system", "content": text()})
	}
	for range 1 + random.IntN(6) {
		messages = append(messages, map[string]any{"role": "user", "content": text()})
		answer := map[string]any{"role": "assistant", "content": text()}
		if random.IntN(5) == 0 {
			answer["reasoning_content"] = text()
		}
		messages = append(messages, answer)
	}
	if random.IntN(4) == 0 {
		messages = append(messages, map[string]any{"role": "user", "content": text()})
	}
	raw, _ := json.Marshal(messages)
	c := lossmask.Conversation{Messages: json.RawMessage(raw), Pair: random.IntN(3) == 0}
	if random.IntN(4) == 0 {
		c.Prompted = random.IntN(len(messages))
	}
	if random.IntN(4) == 0 {
		c.Unweighted = []int{random.IntN(len(messages))}
	}
	if random.IntN(4) == 0 {
		c.Tools = json.RawMessage(`[{"type": "function", "function": {"name": "find", "description": "finds", "parameters": {"type": "object", "properties": {"pier": {"type": "integer"}}}}}]`)
	}
	return c
}
