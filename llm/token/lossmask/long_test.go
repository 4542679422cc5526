package lossmask_test

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token/lossmask"
)

// TestLongConversations: the renderings of a long conversation, one for each of its
// turns, are not in memory together.
func TestLongConversations(t *testing.T) {
	const turns, words = 300, 2_000
	tok := withTemplate(t, "{% for m in messages %}<|user|>{{ m.role }}\n{{ m.content }}<|end|>\n{% endfor %}{% if add_generation_prompt %}<|user|>assistant\n{% endif %}")
	var messages []map[string]string
	for range turns {
		messages = append(messages, map[string]string{"role": "user", "content": "Where?"},
			map[string]string{"role": "assistant", "content": strings.Repeat("pier ", words/5)})
	}
	body, err := json.Marshal(messages)
	if err != nil {
		t.Fatal(err)
	}
	m := lossmask.New(tok, lossmask.Config{ResponsesOnly: true, MaxTokens: 100})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	row, err := m.Conversation(lossmask.Conversation{Messages: json.RawMessage(body)})
	runtime.ReadMemStats(&after)
	if err != nil || len(row.Examples) != 1 || len(row.Examples[0].Spans) != turns {
		t.Fatalf("%d examples, %v", len(row.Examples), err)
	}
	// All renderings together are turns times half of the last one, twice.
	whole := int64(len(row.Examples[0].Text))
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > turns*whole/2 {
		t.Errorf("the memory grew by %d MiB for a conversation of %d KiB", grown>>20, whole>>10)
	}
	runtime.KeepAlive(row)
}
