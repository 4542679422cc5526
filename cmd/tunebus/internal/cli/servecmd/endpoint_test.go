package servecmd

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestShellKey: a shell makes the key of what the example has, in any folder; where that
// cannot be, it says what has to be done.
func TestShellKey(t *testing.T) {
	const key = "0123456789abcdef"
	dir := filepath.Join(t.TempDir(), "a folder's $HOME")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "key.txt")
	if err := os.WriteFile(file, []byte(key+"\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		e          endpoint
		variable   string
		said, text string
	}{
		"none":              {endpoint{}, "", "", ""},
		"a file":            {endpoint{key: key, keyFile: file}, "", "", ""},
		"a file wins":       {endpoint{key: key, keyFile: file}, "another", "", ""},
		"a variable":        {endpoint{key: key}, key, "", "$TUNEBUS_CREDENTIALS_SERVE_KEY"},
		"a variable's file": {endpoint{key: key}, "file:" + file, "", ""},
		"the settings":      {endpoint{key: key}, "", "where TUNEBUS_CREDENTIALS_SERVE_KEY has the key, credentials.serve_key of the settings", "$TUNEBUS_CREDENTIALS_SERVE_KEY"},
		"a pipe":            {endpoint{key: key, keyFile: "/dev/null"}, "", "where KEY has the key that stood in /dev/null", "$KEY"},
	} {
		t.Setenv("TUNEBUS_CREDENTIALS_SERVE_KEY", c.variable)
		text, said := c.e.shellKey()
		if said != c.said || c.text != "" && text != c.text {
			t.Errorf("%s: %q, %q", name, text, said)
		}
		if said != "" {
			continue
		}
		shell := exec.CommandContext(t.Context(), "sh", "-c", `printf '%s' "`+text+`"`)
		shell.Dir = t.TempDir()
		if out, err := shell.Output(); err != nil || string(out) != c.e.key {
			t.Errorf("%s: a shell makes %q of %s, %v", name, out, text, err)
		}
	}
	t.Chdir(dir)
	if text, _ := (endpoint{key: key, keyFile: "key.txt"}).shellKey(); !strings.Contains(text, "key.txt") || strings.Contains(text, "< key.txt") {
		t.Errorf("in another folder it is another file: %s", text)
	}
}
