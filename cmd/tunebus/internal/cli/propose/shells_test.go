package propose_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// asProgram is the variable that makes the test's binary the program.
const asProgram = "COMPLETION_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// The scripts of a test, with the line that is completed in $LINE.
const (
	inBash = `compopt() { :; }
_get_comp_words_by_ref() { # of the package bash-completion, as far as it is used
  words=("${COMP_WORDS[@]}") cword=$COMP_CWORD cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}
}
source <(tunebus completion bash)
COMP_LINE=$LINE COMP_POINT=${#LINE} COMP_TYPE=9
read -ra COMP_WORDS <<< "$LINE"
[[ $LINE == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]}-1))
__start_tunebus
printf '%s\n' "${COMPREPLY[@]}"`
	inFish = `source (tunebus completion fish | psub)
complete -C $LINE`
)

// TestInShells: real shells propose runs by their ids, keys with their values, topics
// of help and phases, and get no control character from the name of a run.
func TestInShells(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	facts := clitest.EndedRun("r1")
	accepted := facts[0].(events.PipelineAccepted)
	accepted.RunName = "bad\x1b[31m\a\u009b1m\u202e\tname"
	facts[0] = accepted
	f.WithServer(t, func(b *conn.Conn) {
		clitest.Publish(t, b, facts...)
		clitest.Publish(t, b, clitest.EndedRun("r2")...)
	})
	bin := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\n%s=1 exec %q \"$@\"\n", asProgram, self)
	if err := os.WriteFile(filepath.Join(bin, "tunebus"), []byte(script), 0o700); err != nil { //nolint:gosec // it is run
		t.Fatal(err)
	}
	for _, shell := range []struct {
		name, script string
		args         []string
	}{
		{"bash", inBash, []string{"--norc", "--noprofile", "-c"}},
		{"fish", inFish, []string{"--no-config", "-c"}},
	} {
		if _, err := exec.LookPath(shell.name); err != nil {
			t.Logf("%s is not installed", shell.name)
			continue
		}
		for line, want := range map[string][]string{
			"tunebus help ex": {"exit-status", "export"},
			"tunebus run --set fine_tuner.optimizer=stable": {"stable_adamw"},
			"tunebus show --data " + f.Dir + " r":           {"r1", "r2"},
			"tunebus delete --data " + f.Dir + " ":          {"last", "r1", "r2"},
			"tunebus logs --phase ":                         {"evaluation", "finetune", "inference"},
			"tunebus submit --wait=":                        {"completed", "tracked"},
			"tunebus run --resume ":                         {"cancel", "first", "skip"},
			"tunebus rerun r1 --from=":                      {"evaluation", "finetune", "inference"},
			"tunebus runs --status part":                    {"partial"},
			"tunebus rerun r1 --set inferencer.baseline=":   {"false", "true"},
		} {
			c := exec.CommandContext(t.Context(), shell.name, append(shell.args, shell.script)...)
			c.Env = append(os.Environ(), "LINE="+line, "PATH="+bin+":"+os.Getenv("PATH"), "HOME="+bin)
			out, err := c.Output()
			if err != nil {
				t.Errorf("%s: %q: %v", shell.name, line, err)
			}
			if strings.ContainsAny(string(out), "\x1b\a\u009b\u202e") {
				t.Errorf("%s: %q proposes %q", shell.name, line, out)
			}
			var got []string
			for l := range strings.Lines(string(out)) {
				word, _, _ := strings.Cut(strings.TrimSpace(l), "\t")
				word, _, _ = strings.Cut(word, " ")
				if _, value, ok := strings.Cut(word, "="); ok { // bash completes behind it alone
					word = value
				}
				got = append(got, word)
			}
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("%s: %q proposes %q, want %q", shell.name, line, got, want)
			}
		}
	}
}
