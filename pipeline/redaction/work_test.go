package redaction_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/tunebus/tunebus/pipeline/redaction"
)

// TestHideIn: work loses whole secrets, and keeps what is only like one.
func TestHideIn(t *testing.T) {
	t.Parallel()
	secrets := redaction.New("sk-thisIsSecret99", "EMPTY")
	for text, want := range map[string]string{
		"my key is Bearer sk-thisIsSecret99.": "my key is Bearer [hidden].",
		"sk-thisIs is no key, EMPTY":          "sk-thisIs is no key, EMPTY",
		"postgres://me:hush@host/db":          "postgres://me:hush@host/db",
	} {
		if got, changed := secrets.HideIn(text); got != want || changed != (got != text) {
			t.Errorf("%q became %q (%t), want %q", text, got, changed, want)
		}
	}
	var none *redaction.Secrets
	if got, changed := none.HideIn("EMPTY"); got != "EMPTY" || changed {
		t.Errorf("%q (%t)", got, changed)
	}
}

// TestFound: a secret is found wherever it stands in a long text.
func TestFound(t *testing.T) {
	t.Parallel()
	const key = "sk-thisIsSecret99"
	secrets := redaction.New("EMPTY", key, `quo"ted/secret`)
	for before := 64<<10 - len(key) - 1; before < 64<<10+2; before++ {
		text := strings.Repeat("x", before) + key + strings.Repeat("y", 70_000)
		if ok, err := secrets.Found(iotest.HalfReader(strings.NewReader(text))); !ok || err != nil {
			t.Fatalf("behind %d bytes: %t, %v", before, ok, err)
		}
	}
	if ok, err := secrets.Found(strings.NewReader(`{"a": "quo\"ted/secret"}`)); !ok || err != nil {
		t.Errorf("in JSON: %t, %v", ok, err)
	}
	if ok, err := secrets.Found(strings.NewReader(strings.Repeat("EMPTY sk-thisIsSecret9 ", 10_000))); ok || err != nil {
		t.Errorf("%t, %v", ok, err)
	}
	broken := errors.New("broken")
	if _, err := secrets.Found(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}
