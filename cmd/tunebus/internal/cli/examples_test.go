package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
)

// typedInOrder are the verbs whose examples a newcomer types, in this order, in a folder that
// has the quickstart.
var typedInOrder = []string{
	"help", "config doc", "config init", "config check", "data preview", "engine list", "man",
	"completion bash", "completion fish", "completion powershell", "completion zsh",
	"run", "runs", "show", "watch", "logs", "compare", "export", "chat", "rerun",
	"gc", "archive", "cancel", "delete",
}

// notTyped are the other verbs, with what their examples need beside the quickstart.
var notTyped = map[string]string{
	"up":                "it ends with Ctrl-C",
	"submit":            "services that are up",
	"setup":             "a server of its own",
	"doctor":            "a server of its own",
	"dlq list":          "a server of its own",
	"dlq show":          "a dead letter",
	"dlq retry":         "a dead letter",
	"dlq discard":       "a dead letter",
	"replay requests":   "a server of its own",
	"replay tracking":   "a server of its own",
	"replay publishing": "a server of its own",
	"engine check":      "a trainer of one's own",
	"engine describe":   "a trainer of one's own",
	"engine install":    "packages of Python",
}

// statusOfExample is the status of examples that do not end in success.
var statusOfExample = map[string]exit.Code{
	`tunebus cancel last --reason "wrong data"`: exit.CodeInput, // the run has ended
}

// TestExamplesAsTyped: the examples of help work as they stand, behind each other.
func TestExamplesAsTyped(t *testing.T) {
	configs, err := filepath.Abs("../../../../configs")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("XDG_CONFIG_HOME", "")
	if err := os.CopyFS("configs", os.DirFS(configs)); err != nil {
		t.Fatal(err)
	}
	for name, rows := range map[string]int{"train": 24, "validation": 4, "test": 8} {
		path := filepath.Join("configs", "quickstart", name+".jsonl")
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		lines := slices.Collect(strings.Lines(string(text)))
		if err := os.WriteFile(path, []byte(strings.Join(lines[:rows], "")), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	examples := map[string]string{"help": "  tunebus help exit-status"}
	_, all := commands(t)
	for _, c := range all {
		verb := strings.TrimPrefix(c.CommandPath(), "tunebus ")
		if c.Example != "" {
			examples[verb] = c.Example
		}
		if _, left := notTyped[verb]; c.Example != "" && !left && !slices.Contains(typedInOrder, verb) {
			t.Errorf("nobody types the examples of %s", verb)
		}
	}
	for _, verb := range typedInOrder {
		if examples[verb] == "" {
			t.Errorf("%s has no example", verb)
		}
		for line := range strings.Lines(examples[verb]) {
			line = strings.TrimSpace(line)
			if strings.HasSuffix(line, "--watch") || strings.HasSuffix(line, "--follow") {
				continue // a person ends it
			}
			var screen bytes.Buffer
			status := MainWithInput(t.Context(), wordsOf(line)[1:], strings.NewReader("Who is there?\n"), &screen, &screen)
			if want := int(statusOfExample[line]); status != want {
				t.Errorf("%s: status %d, want %d\n%s", line, status, want, screen.String())
			}
		}
	}
}

// wordsOf are the words of a command as a shell has them, as far as examples need it.
func wordsOf(line string) []string {
	words := regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(line, -1)
	for i, w := range words {
		words[i] = strings.Trim(w, `"`)
		if rest, ok := strings.CutPrefix(w, "~"); ok {
			words[i] = os.Getenv("HOME") + rest
		}
	}
	return words
}
