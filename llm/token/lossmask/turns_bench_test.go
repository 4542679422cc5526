package lossmask_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"github.com/tunebus/tunebus/llm/token/lossmask"
)

// BenchmarkTurns masks one conversation of many turns, questions and answers: its
// beginnings together, and each alone, which takes the square of the time. The templates
// make one example of it; bars makes one of each answer.
func BenchmarkTurns(b *testing.B) {
	for _, template := range []string{"chatml", "headers", "sections", "bars"} {
		source, err := os.ReadFile(templates + "templates/" + template + ".jinja")
		if err != nil {
			b.Fatal(err)
		}
		tok := withTemplate(b, string(source))
		for _, turns := range []int{100, 1_000, 4_000} {
			body := manyTurns(b, turns)
			b.Run(fmt.Sprintf("%s/%d/together", template, turns), func(b *testing.B) { mask(b, lossmask.New(tok, limited), body) })
			if turns <= 1_000 {
				b.Run(fmt.Sprintf("%s/%d/alone", template, turns), func(b *testing.B) { mask(b, lossmask.New(tok, limited).Alone(), body) })
			}
		}
	}
}

var limited = lossmask.Config{ResponsesOnly: true, MaxTokens: 4096}

func manyTurns(b *testing.B, n int) json.RawMessage {
	b.Helper()
	var messages []map[string]string
	for i := range n / 2 {
		messages = append(messages, map[string]string{"role": "user", "content": fmt.Sprintf("Where is ferry %d?", i)},
			map[string]string{"role": "assistant", "content": fmt.Sprintf("At pier %d.", i)})
	}
	body, err := json.Marshal(messages)
	if err != nil {
		b.Fatal(err)
	}
	return body
}

func mask(b *testing.B, m *lossmask.Masker, body json.RawMessage) {
	b.Helper()
	examples := 0
	for b.Loop() {
		row, err := m.Conversation(lossmask.Conversation{Messages: body})
		if err != nil {
			b.Fatal(err)
		}
		examples = len(row.Examples)
	}
	b.ReportMetric(float64(examples), "examples")
}
