package judge

import (
	"encoding/json"
	"strings"
	"testing"
)

// FuzzFirstJSON holds for any answer: what is found is balanced and lies in the
// text, and an object that stands alone is found whole.
func FuzzFirstJSON(f *testing.F) {
	for _, seed := range []string{"", "{", "]{", `{"a": "}\\"}`, "[[{}]]", "```json\n[1]\n```", `{"a]`, `{"\`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if found, ok := firstJSON(text); ok && (!strings.Contains(text, found) || len(found) < 2) {
			t.Errorf("in %q found %q", text, found)
		}
		object, err := json.Marshal(map[string]any{"k": []string{text}})
		if err != nil {
			t.Fatal(err)
		}
		if found, ok := firstJSON("so: " + string(object) + "}"); !ok || found != string(object) {
			t.Errorf("of %s found %q, %v", object, found, ok)
		}
	})
}
