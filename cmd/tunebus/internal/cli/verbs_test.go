package cli

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
)

// commands are the root command and all commands below it.
func commands(t *testing.T) (root *cobra.Command, all []*cobra.Command) {
	t.Helper()
	root = newRoot(session.New("test", view.NewConsole(io.Discard, io.Discard)))
	for left := root.Commands(); len(left) > 0; left = left[1:] {
		all = append(all, left[0])
		left = append(left, left[0].Commands()...)
	}
	return root, all
}

// TestHelp: each verb stands in a group, and each command that does something has
// an example with its own words and flags that exist.
func TestHelp(t *testing.T) {
	root, all := commands(t)
	for _, c := range root.Commands() {
		if c.GroupID == "" && !c.IsAdditionalHelpTopicCommand() {
			t.Errorf("%s stands in no group", c.CommandPath())
		}
	}
	examples := 0
	for _, c := range all {
		if !c.Runnable() || c.HasSubCommands() {
			continue
		}
		if c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for line := range strings.Lines(c.Example) {
			examples++
			own, _, _ := strings.Cut(line, " -- ") // behind it stands another command
			words := strings.Fields(own)
			found, _, err := root.Find(words[1:])
			if words[0] != "tunebus" || err != nil || found != c {
				t.Errorf("example %q is one of another command (%v)", line, err)
			}
			for _, w := range words {
				name, _, _ := strings.Cut(strings.TrimPrefix(w, "--"), "=")
				if strings.HasPrefix(w, "--") && c.Flags().Lookup(name) == nil && c.InheritedFlags().Lookup(name) == nil {
					t.Errorf("example %q: there is no flag --%s", line, name)
				}
			}
		}
	}
	if examples < 20 {
		t.Errorf("%d examples", examples)
	}
}

// TestConnectionFlags: the help of a command shows the flags of the connection if
// it connects to a server, and another command refuses them.
func TestConnectionFlags(t *testing.T) {
	help := func(args ...string) string {
		var out strings.Builder
		if status := Main(t.Context(), append(args, "--help"), &out, io.Discard); status != 0 {
			t.Fatalf("%v: status %d", args, status)
		}
		return out.String()
	}
	for _, args := range [][]string{{"show"}, {"dlq", "list"}, {"submit"}} {
		if text := help(args...); !strings.Contains(text, "Connection to NATS:") || strings.Index(text, "--creds") < strings.Index(text, "Connection to NATS:") {
			t.Errorf("%v: the flags of the connection do not stand apart:\n%s", args, text)
		}
	}
	for _, args := range [][]string{{"run"}, {"config", "check"}, nil} {
		if text := help(args...); strings.Contains(text, "--creds") {
			t.Errorf("%v connects to no server, but its help has --creds:\n%s", args, text)
		}
	}
	var screen strings.Builder
	if status := Main(t.Context(), []string{"config", "doc", "--server", "nats://127.0.0.1:1"}, io.Discard, &screen); status != int(exit.CodeInput) || !strings.Contains(screen.String(), "--server has no effect") {
		t.Errorf("config doc --server: status %d, %s", status, screen.String())
	}
}

// TestUnknownVerb: unknown verbs and arguments are bad input.
func TestUnknownVerb(t *testing.T) {
	for _, args := range [][]string{{"nonsense"}, {"runs", "extra"}, {"show"}, {"show", "--nonsense"}, {"config", "nonsense"}, {"dlq", "nonsense"}, {"help", "nonsense"}} {
		var out, screen strings.Builder
		if status := Main(t.Context(), args, &out, &screen); status != int(exit.CodeInput) || screen.Len() == 0 {
			t.Errorf("%v: status %d, %s%s", args, status, out.String(), screen.String())
		}
	}
}

// TestExitStatusTopic: the topic names every status, as the README does.
func TestExitStatusTopic(t *testing.T) {
	var out strings.Builder
	Main(t.Context(), []string{"help", "exit-status"}, &out, io.Discard)
	readme, err := os.ReadFile("../../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for code := exit.CodeOK; code <= exit.CodeTimeout; code++ {
		_, row, found := strings.Cut(string(readme), "| "+string(rune('0'+code))+" | ")
		meaning, _, _ := strings.Cut(row, " |")
		if !found || !strings.Contains(out.String(), string(rune('0'+code))+"    "+meaning) {
			t.Errorf("the topic does not say that %d means %q", code, meaning)
		}
	}
}

// TestManPages: each command gets a page, and the pages of two calls are equal.
func TestManPages(t *testing.T) {
	_, all := commands(t)
	var names [2][]string
	var bodies [2]string
	for i := range 2 {
		dir := filepath.Join(t.TempDir(), "man1")
		if status := Main(t.Context(), []string{"man", dir}, io.Discard, io.Discard); status != 0 {
			t.Fatalf("status %d", status)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			body, err := os.ReadFile(filepath.Join(dir, e.Name()))
			if err != nil {
				t.Fatal(err)
			}
			names[i] = append(names[i], e.Name())
			bodies[i] += string(body)
		}
	}
	for _, c := range all {
		page := strings.ReplaceAll(c.CommandPath(), " ", "-") + ".1"
		if c.Runnable() && !slices.Contains(names[0], page) {
			t.Errorf("there is no page %s", page)
		}
	}
	if bodies[0] != bodies[1] {
		t.Error("two calls write different pages")
	}
}

// TestWhatHelpTells: help names its topics, and a word that it does not know is
// answered with what was meant.
func TestWhatHelpTells(t *testing.T) {
	for args, want := range map[string]struct {
		status exit.Code
		says   string
	}{
		"help":                               {0, "  data         What data sets may look like\n  config       The specification"},
		"help data":                          {0, "\n  messages "},
		"help config":                        {0, "\n  --set section.key=V"},
		"help run config":                    {2, `help takes one command or topic, but got "config" behind run, too`},
		"help config nonsense":               {2, `tunebus config has no command "nonsense"; want one of check, doc, init`},
		"nonsense":                           {2, "config, engine, man, completion, help\n"},
		"replay tracker --data A":            {2, `tunebus replay has no command "tracker"; did you mean tracking?`},
		"dlq foo --data A":                   {2, `tunebus dlq has no command "foo"; want one of`},
		"config --data A":                    {2, "--data is no flag of tunebus config"},
		"nonsense --data A":                  {2, "config, engine, man, completion, help\n"},
		"version":                            {2, `the version is shown by "tunebus --version"`},
		"config doc learning_rate":           {0, "[fine_tuner]\nlearning_rate = 0.0002 #"},
		"config doc fine_tuner.rank":         {0, "[fine_tuner]\nrank = 16 #"},
		"config doc seed":                    {0, "[inferencer]\nseed ="},
		"config doc bus":                     {0, "[bus]\nurl ="},
		"config doc learning_rat":            {2, "there is no such section or key; did you mean learning_rate?"},
		"config doc wxyz":                    {2, `"tunebus config doc" and "tunebus config doc settings" list them`},
		"config doc rank epochs":             {2, `want one section or key, but got "epochs", too`},
		"__complete help dl":                 {0, "dlq\t"},
		"__complete help config ":            {0, "check\t"},
		"__complete config doc fine_tuner.l": {0, "fine_tuner.learning_rate\n"},
	} {
		var out, screen strings.Builder
		words := strings.Fields(args)
		if strings.HasSuffix(args, " ") {
			words = append(words, "")
		}
		if status := Main(t.Context(), words, &out, &screen); status != int(want.status) || !strings.Contains(out.String()+screen.String(), want.says) {
			t.Errorf("%s: status %d\n%s%s", args, status, out.String(), screen.String())
		}
	}
}
