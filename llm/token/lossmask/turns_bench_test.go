package lossmask_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/llm/token/lossmask"
)

// BenchmarkTurns masks one conversation of many turns, a question and an answer each,
// with each of the templates of the references.
func BenchmarkTurns(b *testing.B) {
	files, err := filepath.Glob(templates + "templates/*.jinja")
	if err != nil {
		b.Fatal(err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			b.Fatal(err)
		}
		tok := withTemplate(b, string(source))
		for _, turns := range []int{100, 1_000, 4_000} {
			b.Run(fmt.Sprintf("%s/%d", strings.TrimSuffix(filepath.Base(file), ".jinja"), turns), func(b *testing.B) {
				var messages []map[string]string
				for i := range turns / 2 {
					messages = append(messages, map[string]string{"role": "user", "content": fmt.Sprintf("Where is ferry %d?", i)},
						map[string]string{"role": "assistant", "content": fmt.Sprintf("At pier %d.", i)})
				}
				body, err := json.Marshal(messages)
				if err != nil {
					b.Fatal(err)
				}
				m := lossmask.New(tok, lossmask.Config{ResponsesOnly: true, MaxTokens: 4096})
				examples := 0
				for b.Loop() {
					row, err := m.Conversation(lossmask.Conversation{Messages: json.RawMessage(body)})
					if err != nil {
						b.Skip(err)
					}
					examples = len(row.Examples)
				}
				b.ReportMetric(float64(examples), "examples")
			})
		}
	}
}
