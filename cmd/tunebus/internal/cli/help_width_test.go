package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"io"

	"github.com/spf13/cobra"
)

// helpColumns is the width of the terminal that help is written for.
const helpColumns = 80

// TestHelpFits: no line of help is wider than a terminal.
func TestHelpFits(t *testing.T) {
	_, all := commands(t)
	for _, c := range append(all, &cobra.Command{Use: "tunebus"}) {
		words := strings.Fields(c.CommandPath())[1:]
		for _, args := range [][]string{append([]string{"help"}, words...), append(words, "--help")} {
			var out strings.Builder
			if status := Main(t.Context(), args, &out, io.Discard); status != 0 {
				t.Errorf("%q: status %d", args, status)
			}
			for line := range strings.Lines(out.String()) {
				if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) > helpColumns {
					t.Errorf("%q: %d columns: %s", args, utf8.RuneCountInString(line), line)
				}
			}
		}
	}
}

// TestManPagesTell: a page lists the flags that its command takes and no others, and says
// what the exit status means; a topic has a page, too. A real man shows them without a
// complaint, within a terminal.
func TestManPagesTell(t *testing.T) {
	dir := t.TempDir()
	if status := Main(t.Context(), []string{"man", dir}, io.Discard, io.Discard); status != 0 {
		t.Fatalf("status %d", status)
	}
	for page, flags := range map[string]struct{ has, lacks []string }{
		"tunebus-run":             {[]string{"run-id", "json"}, []string{"creds", "server"}},
		"tunebus-show":            {[]string{"creds", "json"}, nil},
		"tunebus-config-doc":      {[]string{"json"}, []string{"creds", "server"}},
		"tunebus-completion-bash": {[]string{"no-descriptions"}, []string{"creds", "json", "settings"}},
		"tunebus-man":             {nil, []string{"creds", "json", "settings"}},
		"tunebus-exit-status":     {nil, []string{"creds", "json"}},
		"tunebus-data":            {nil, []string{"creds"}},
		"tunebus-config":          {nil, []string{"creds"}},
	} {
		text, err := os.ReadFile(filepath.Join(dir, page+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		if !strings.Contains(string(text), ".SH EXIT STATUS\n.TP\n.B 0\nsuccess\n") {
			t.Errorf("%s does not say what the exit status means", page)
		}
		listed := func(flag string) bool {
			return strings.Contains(string(text), `\fB\-\-`+strings.ReplaceAll(flag, "-", `\-`)+`\fR`)
		}
		for _, flag := range flags.has {
			if !listed(flag) {
				t.Errorf("%s does not list --%s", page, flag)
			}
		}
		for _, flag := range flags.lacks {
			if listed(flag) {
				t.Errorf("%s lists --%s", page, flag)
			}
		}
	}
	if _, err := exec.LookPath("man"); err != nil {
		t.Logf("man is not installed: %v", err)
		return
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		c := exec.CommandContext(t.Context(), "man", "--warnings", "--local-file", page)
		c.Env = append(os.Environ(), "MANWIDTH=80", "MANPAGER=cat", "LC_ALL=C.UTF-8")
		var complaints strings.Builder
		c.Stderr = &complaints
		shown, err := c.Output()
		if err != nil || complaints.Len() > 0 {
			t.Errorf("%s: %v: %s", page, err, complaints.String())
		}
		for line := range strings.Lines(string(shown)) {
			if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) > helpColumns {
				t.Errorf("%s: %d columns: %s", filepath.Base(page), utf8.RuneCountInString(line), line)
			}
		}
	}
}
