package structconf

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
)

// FuzzEscape: what an encoder writes means the same afterwards, and holds no character
// that cannot be seen.
func FuzzEscape(f *testing.F) {
	for _, text := range []string{"", "plain", "it's \"so\" \\", "E\x1b[31m\u009b1m\u202et\tn\nl", "C:\\new\u202e", "ü 日本 \U000e0001", "' \u202e \" # x"} {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, key, text string) {
		if !utf8.ValidString(key) || !utf8.ValidString(text) {
			return // JSON has no such texts
		}
		var out bytes.Buffer
		want := map[string]any{"k": text, "labels": map[string]any{key: text}, "list": []any{text, "x"}}
		if err := toml.NewEncoder(&out).SetTablesInline(true).Encode(want); err != nil {
			t.Fatal(err)
		}
		escaped := Escape(out.String())
		if i := strings.IndexFunc(escaped, hidden); i >= 0 {
			t.Errorf("%q is left in %q", escaped[i:], escaped)
		}
		var plain, got map[string]any
		if err := toml.Unmarshal(out.Bytes(), &plain); err != nil {
			return // the encoder wrote what it cannot read
		}
		if err := toml.Unmarshal([]byte(escaped), &got); err != nil {
			t.Fatalf("%v in %q", err, escaped)
		}
		labels, _ := got["labels"].(map[string]any)
		list, _ := got["list"].([]any)
		if got["k"] != plain["k"] || len(labels) != 1 || labels[key] != text || len(list) != 2 || list[0] != text {
			t.Errorf("%q, want %q", got, plain)
		}
	})
}
