package redaction_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/pipeline/redaction"
)

// TestHide: a secret is in no text, in whatever form it stands there; one that begins
// with another one is hidden whole.
func TestHide(t *testing.T) {
	t.Parallel()
	secrets := redaction.New("", "hf_token", "hf_token_long", `a"b/c d`, " padded\n")
	for text, want := range map[string]string{
		"":                             "",
		"Bearer hf_token, hf_tokens":   "Bearer [hidden], [hidden]s",
		"hf_token_long":                "[hidden]",
		`{"key": "a\"b/c d"}`:          `{"key": "[hidden]"}`,
		"?key=a%22b%2Fc+d&x":           "?key=[hidden]&x",
		"is padded":                    "is [hidden]",
		"nats://user:hush@host:4222/x": "nats://user:[hidden]@host:4222/x",
		"https://host/a:b@c":           "https://host/a:b@c",
		"https://host/?api_key=hush":   "https://host/?api_key=[hidden]",
	} {
		if got := secrets.Hide(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	var none *redaction.Secrets
	if got := none.Hide("hf_token"); got != "hf_token" {
		t.Errorf("%q", got)
	}
}

// TestOfVariables: names say which variables hold secrets.
func TestOfVariables(t *testing.T) {
	t.Parallel()
	got := redaction.OfVariables([]string{"HF_TOKEN=hf_0123456789", "SHORT_KEY=abc", "PATH=/usr/bin:/bin", "my_secret=a=b=c=d=e", "EMPTY_KEY", "X_KEY="})
	if want := []string{"hf_0123456789", "a=b=c=d=e"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestError: an error loses the secrets of its text, and nothing else.
func TestError(t *testing.T) {
	t.Parallel()
	cause := errors.New("refused")
	secrets := redaction.New("hf_token")
	err := secrets.Error(fmt.Errorf("hf_token: %w", cause))
	if err.Error() != "[hidden]: refused" || !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
	if got := secrets.Error(cause); got != cause { //nolint:errorlint // it is the same
		t.Errorf("%v", got)
	}
	if err := secrets.Error(nil); err != nil {
		t.Error(err)
	}
}
