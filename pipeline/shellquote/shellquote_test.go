package shellquote_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// TestWord: a word that needs no quotes gets none.
func TestWord(t *testing.T) {
	t.Parallel()
	for word, want := range map[string]string{
		"":                     "''",
		"a.toml":               "a.toml",
		"/srv/a-b_c:1@2%3+4=5": "/srv/a-b_c:1@2%3+4=5",
		"a;b.toml":             "'a;b.toml'",
		"a b":                  "'a b'",
		"it's":                 `'it'\''s'`,
		"~root/x":              "'~root/x'",
		"a~":                   "a~",
		"ü":                    "'ü'",
	} {
		if got := shellquote.Word(word); got != want {
			t.Errorf("%q: got %s, want %s", word, got, want)
		}
	}
}

// TestShellReadsWordsBack: a shell reads each word as it was given.
func TestShellReadsWordsBack(t *testing.T) {
	t.Parallel()
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Fatal(err)
	}
	words := []string{"a;b.toml", "it's a folder", "$HOME", "`id`", "*", "~", "#x", "a&b|c<d>e", `back\slash`, `"double"`, "(x)", "!bang", "line\nbreak", "", "plain", "{a,b}"}
	out, err := exec.CommandContext(t.Context(), sh, "-c", `printf '%s\0' `+shellquote.Join(words...)).Output()
	if err != nil {
		t.Fatal(err)
	}
	got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	if len(got) != len(words) {
		t.Fatalf("read %q", got)
	}
	for i := range words {
		if got[i] != words[i] {
			t.Errorf("read %q, want %q", got[i], words[i])
		}
	}
}
