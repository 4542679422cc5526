package redaction_test

import (
	"encoding/base64"
	"testing"

	"github.com/tunebus/tunebus/pipeline/redaction"
)

// TestHideSent: what a server repeats of a credential is hidden, whole, cut and encoded.
// What only looks like it stays.
func TestHideSent(t *testing.T) {
	t.Parallel()
	const key = "sk-thisIsSecret99"
	for _, c := range []struct{ text, key, want string }{
		{"header Bearer " + key + ".", key, "header Bearer [hidden]."},
		{"key sk-thisIsS***", key, "key [hidden]***"},
		{"ends in sSecret99", key, "ends in [hidden]"},
		{"it is 73 6b 2d, 736b2d74686973497353", key, "it is 73 6b 2d, [hidden]"},
		{"the prompt is too long: this is secret", key, "the prompt is too long: this is secret"},
		{"no model \u00e9 for EMPTY, EMPTYSET", "EMPTY", "no model \u00e9 for [hidden], EMPTYSET"},
		{"a text", "a", "a text"},
		{"a text", "", "a text"},
		{"at http://me:hush@host/v1", "", "at http://me:[hidden]@host/v1"},
	} {
		got := redaction.HideSent(c.text, c.key)
		if got != c.want {
			t.Errorf("%q with %q became %q, want %q", c.text, c.key, got, c.want)
		}
	}
	for _, before := range []string{"", "u", "me", "me:", "Bearer "} {
		text := base64.StdEncoding.EncodeToString([]byte(before + key + ":end"))
		got := redaction.HideSent(text, key)
		// What is left are the characters that the neighbours share with the key.
		if left := len(got) - len("[hidden]"); left > 8+len(before)*4/3+2 {
			t.Errorf("%q of %q is left", got, text)
		}
	}
}
