package hint_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/hint"
)

// TestProgram: the name is the one that was typed, unless the same program is on
// the path.
func TestProgram(t *testing.T) {
	dir := t.TempDir()
	write := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
		return path
	}
	installed, other := write("bin/tunebus"), write("my tools/tunebus")
	want := func(called, name string) {
		t.Helper()
		if got := hint.Program(called); got != name {
			t.Errorf("called as %q: %q, want %q", called, got, name)
		}
	}
	t.Setenv("PATH", filepath.Dir(installed))
	want(installed, "tunebus")
	want(other, "'"+other+"'")
	want("tunebus", "tunebus")
	want("tunebus-gpu", "tunebus-gpu")
	want("", "tunebus")
	t.Setenv("PATH", "")
	want(installed, installed)
}

// TestComplete: a command in a text gets the program's name and the flags that say
// where the present command works, if it has them.
func TestComplete(t *testing.T) {
	t.Parallel()
	root := &cobra.Command{Use: "tunebus"}
	root.PersistentFlags().String("server", "", "")
	root.PersistentFlags().Bool("json", false, "")
	show := &cobra.Command{Use: "show", Run: func(*cobra.Command, []string) {}}
	show.Flags().String("data", "", "")
	list := &cobra.Command{Use: "list", Run: func(*cobra.Command, []string) {}}
	root.AddCommand(show, list)
	root.SetArgs([]string{"show", "--data", "my data", "--server", "nats://n:1", "--json"})
	if err := root.Execute(); err != nil {
		t.Fatal(err)
	}
	c := hint.Completer{Program: "./bin/tunebus", Root: root, Current: show, Where: []string{"server", "data"}}
	for text, want := range map[string]string{
		`no letter; "tunebus list" lists them`:       `no letter; "./bin/tunebus list --server nats://n:1" lists them`,
		`"tunebus show r1" names it`:                 `"./bin/tunebus show r1 --data 'my data' --server nats://n:1" names it`,
		`"tunebus show r1 --data d"`:                 `"./bin/tunebus show r1 --data d --server nats://n:1"`,
		`"tunebus show --help" tells more`:           `"./bin/tunebus show --help" tells more`,
		`"tunebus" alone, "tunebus nonsense"`:        `"tunebus" alone, "tunebus nonsense"`,
		`mlflow.run_name = "tunebus show r1": taken`: `mlflow.run_name = "tunebus show r1": taken`,
		`label say="tunebus list" is none`:           `label say="tunebus list" is none`,
		`the tunebus of another "tunebusy"`:          `the tunebus of another "tunebusy"`,
	} {
		if got := c.Complete(text); got != want {
			t.Errorf("%s\nbecame %s", text, got)
		}
	}
}

// TestWords: each kind of flag is read back as it was given.
func TestWords(t *testing.T) {
	t.Parallel()
	make := func() *cobra.Command {
		c := &cobra.Command{Use: "c", Run: func(*cobra.Command, []string) {}}
		c.Flags().Bool("skip", false, "")
		c.Flags().Bool("enable", true, "")
		c.Flags().String("wait", "", "")
		c.Flags().Lookup("wait").NoOptDefVal = "completed"
		c.Flags().StringArray("set", nil, "")
		return c
	}
	given := []string{"--skip", "--enable=false", "--wait=tracked", "--set", "a=b c", "--set", "d"}
	c := make()
	if err := c.ParseFlags(given); err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, name := range []string{"skip", "enable", "wait", "set"} {
		words = append(words, hint.Words(c.Flags().Lookup(name))...)
	}
	if got := strings.Join(words, "|"); got != strings.Join(given, "|") {
		t.Errorf("got %s", got)
	}
}

// TestWordsHoldNoSecret: a command that is printed has no password of an address.
func TestWordsHoldNoSecret(t *testing.T) {
	t.Parallel()
	c := &cobra.Command{Use: "c"}
	c.Flags().String("server", "", "")
	c.Flags().StringArray("set", nil, "")
	if err := c.ParseFlags([]string{"--server", "ann:hush@n:1", "--set", "a.b=http://ann:hush@n/x", "--set", "labels.to=ann@n"}); err != nil {
		t.Fatal(err)
	}
	got := strings.Join(append(hint.Words(c.Flags().Lookup("server")), hint.Words(c.Flags().Lookup("set"))...), " ")
	if want := "--server xxxxx@n:1 --set a.b=http://xxxxx@n/x --set labels.to=ann@n"; got != want {
		t.Errorf("got %s", got)
	}
}
