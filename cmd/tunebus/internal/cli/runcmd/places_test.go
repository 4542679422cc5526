package runcmd_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// awayFromServers has the commands of a test find no server and no up but its own, in an empty
// working folder with a file of answers.
func awayFromServers(t *testing.T) (working string) {
	t.Helper()
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("NATS_URL", "")
	working = t.TempDir()
	t.Chdir(working)
	clitest.Write(t, working, "answers.jsonl", `{"question":"Who?","ground_truth":"Ada.","answer":"Ada."}`)
	return working
}

// typeAll types what a command proposed. verbs are the first words of the commands, in their order.
func typeAll(t *testing.T, what string, verbs []string, texts ...string) {
	t.Helper()
	var found []string
	for _, command := range clitest.Proposed(t, texts...) {
		found = append(found, command[0])
		if command[0] == "chat" || command[0] == "export" || command[0] == "up" || command[0] == "config" {
			continue // there is no model; up stays
		}
		if status, out, screen := clitest.Run(t, command...); status != 0 && (command[0] != "cancel" || !strings.Contains(screen+out, "has ended already")) {
			t.Errorf("%s proposes %q: status %d\n%s%s", what, command, status, out, screen)
		}
	}
	if !slices.Equal(found, verbs) {
		t.Errorf("%s proposes %q, want %q\n%s", what, found, verbs, texts)
	}
}

// TestPlaceOfSubmit: submit and the verbs behind it come to one place, whatever else is on the
// machine, and what they propose leads there.
func TestPlaceOfSubmit(t *testing.T) {
	working := awayFromServers(t)
	team := filepath.Join(t.TempDir(), "a team")
	if err := os.Mkdir(team, 0o700); err != nil {
		t.Fatal(err)
	}
	clitest.Up(t, team)
	submit := []string{"submit", "--predictions", "answers.jsonl", "--set", "evaluator.metrics=exact_match"}

	// There is no data folder here: the only up is found.
	status, out, screen := clitest.Run(t, append(submit, "--wait=tracked", "--run-id", "one")...)
	if status != 0 || !strings.Contains(screen, "this works on the up at") {
		t.Fatalf("without a data folder: status %d\n%s%s", status, out, screen)
	}
	hints := out + screen
	status, out, screen = clitest.Run(t, append(submit, "--wait", "--timeout", "1ms")...)
	if status == 0 {
		t.Errorf("--timeout 1ms: status %d\n%s%s", status, out, screen)
	}
	if status, out, screen := clitest.Run(t, append(submit, "--run-id", "two")...); status != 0 {
		t.Fatalf("status %d\n%s%s", status, out, screen)
	} else {
		hints += out + screen
	}

	// Now there is one, with a run of its own.
	if status, out, screen := clitest.Run(t, "run", "--predictions", "answers.jsonl", "--set", "evaluator.metrics=exact_match", "--run-id", "here"); status != 0 {
		t.Fatalf("run: status %d\n%s%s", status, out, screen)
	}
	typeAll(t, "submit to the up", []string{"config"}, hints)
	// Another data folder is found here, so that a command on the up's runs names its folder.
	_, _, screen = clitest.Run(t, "watch", "two", "--timeout", "1ms", "--data", team+"/data")
	typeAll(t, "watch", []string{"watch"}, screen)
	status, out, screen = clitest.Run(t, append(submit, "--run-id", "three")...)
	if status != 1 || out != "" || !strings.Contains(screen, "nobody works on the data folder tunebus-data") {
		t.Fatalf("submit beside a data folder: status %d\n%s%s", status, out, screen)
	}
	typeAll(t, "submit beside a data folder", []string{"up", "run", "submit"}, screen)
	for _, args := range [][]string{{"show", "last"}, {"watch", "here"}, {"logs", "here"}, {"runs"}} {
		status, out, screen := clitest.Run(t, args...)
		if status != 0 || !strings.Contains(screen, "this works on the data folder tunebus-data") || strings.Contains(out, "two") {
			t.Errorf("%q: status %d\n%s%s", args, status, out, screen)
		}
	}
	// doctor names the up that the other verbs do not look at.
	status, out, screen = clitest.Run(t, "doctor")
	if status != 0 || !strings.Contains(out, "works on the data folder "+team+"/data") || !strings.Contains(out, "tunebus doctor --data '"+team+"/data'") {
		t.Errorf("doctor: status %d\n%s%s", status, out, screen)
	}
	if err := os.RemoveAll(filepath.Join(working, "tunebus-data")); err != nil {
		t.Fatal(err)
	}

	// Several ups are lines of their own for doctor.
	other := t.TempDir()
	clitest.Up(t, other)
	_, out, screen = clitest.Run(t, "doctor")
	if strings.Count(out, "works on the data folder") != 2 || strings.Contains(out+screen, "start it") {
		t.Errorf("doctor beside two ups:\n%s%s", out, screen)
	}
	if status, out, screen := clitest.Run(t, submit...); status != 2 || !strings.Contains(screen, "several ups run on this machine") {
		t.Errorf("submit beside two ups: status %d\n%s%s", status, out, screen)
	}
}
