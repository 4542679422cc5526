package child

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/redaction"
)

// TestSecretsInMessages: a secret of the worker is in no text and no name of a message,
// also where the text is cut in the middle of it, and in no fault of a line.
func TestSecretsInMessages(t *testing.T) {
	t.Parallel()
	const key = "sk-thisIsSecret99"
	secrets := redaction.New(key)
	line := func(kind string, fields map[string]any) []byte {
		fields["type"] = kind
		body, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		return body
	}
	atEnd := strings.Repeat("x", maxText-9) + key // is cut there
	number := map[string]any{key: 1, "loss " + key: 2, "loss": 3}
	list := []string{"cpu", key}
	for name, body := range map[string][]byte{
		"hello": line("hello", map[string]any{
			"protocol": 1, "name": key, "version": key, "rows": "tokens", "versions": map[string]any{key: key},
			"devices": list, "methods": list, "keys": list, "optimizers": list, "schedulers": list, "quantisation": list, "kinds": list,
		}),
		"points":        line("progress", map[string]any{"step": 1, "total": 2, "points": number}),
		"statistics":    line("result", map[string]any{"folder": "/m", "statistics": number, "artifacts": map[string]any{key: "/a"}}),
		"note":          line("note", map[string]any{"text": atEnd}),
		"error":         line("error", map[string]any{"class": "internal", "text": atEnd, "key": strings.Repeat("k", 186) + key}),
		"unknown":       line(strings.Repeat("t", 186)+key, map[string]any{}),
		"stage":         line("stage", map[string]any{"stage": key}),
		"rows":          line("hello", map[string]any{"protocol": 1, "name": "a", "rows": key}),
		"no JSON":       []byte(strings.Repeat("g", 110) + key),
		"no UTF-8":      []byte("\xff" + strings.Repeat("g", 106) + key),
		"another type":  line("note", map[string]any{"text": []string{strings.Repeat("g", 90) + key}}),
		"set of a data": line("dataset", map[string]any{"set": key}),
	} {
		m, err := decode(body, secrets)
		shown := fmt.Sprintf("%+v %v", m, err)
		if points, ok := m.(Progress); ok && len(points.Points) != 3 {
			t.Errorf("%s: %v", name, points.Points)
		}
		if strings.Contains(shown, "sk-t") || !strings.Contains(shown, "[h") {
			t.Errorf("%s: …%s", name, shown[max(len(shown)-300, 0):])
		}
	}
	var got []string
	readLines(strings.NewReader(strings.Repeat("x", 15)+key+"\n"), 20, secrets, func(line string) { got = append(got, line) })
	if len(got) != 1 || strings.Contains(got[0], "sk-") {
		t.Errorf("lines %q", got)
	}
}
