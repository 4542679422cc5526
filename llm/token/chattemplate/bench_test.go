package chattemplate_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/tunebus/tunebus/llm/token/chattemplate"
)

// BenchmarkRender renders a conversation of two turns.
func BenchmarkRender(b *testing.B) {
	for _, name := range []string{"chatml", "chatml-thinking"} {
		source, err := os.ReadFile("testdata/templates/" + name + ".jinja")
		if err != nil {
			b.Fatal(err)
		}
		templates, err := open(b, map[string]string{"chat_template.jinja": string(source)})
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := templates.Render(chattemplate.Conversation{
					Messages: json.RawMessage(`[{"role": "user", "content": "Where is the ferry?"}, {"role": "assistant", "content": "At pier 4."}]`),
				}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
