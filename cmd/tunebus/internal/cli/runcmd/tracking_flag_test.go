package runcmd_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// TestTrackingFlagIsChecked: --tracking-uri takes what mlflow.tracking_uri takes. No
// part of the answer holds its password.
func TestTrackingFlagIsChecked(t *testing.T) {
	t.Chdir(t.TempDir())
	for uri, want := range map[string]string{
		"http://ann:hush@127.0.0.1:1/x": "--tracking-uri: an address must not hold a user or password",
		"http://ann:hu/sh@127.0.0.1:1":  "--tracking-uri: an address must not hold a user or password",
		"http://ann:1/sh@127.0.0.1":     "--tracking-uri: an address must not hold a user or password",
		"file:./a?b":                    "--tracking-uri: in an address \"?\" and \"#\" are no part of a folder's name; write %3F",
		"garbage":                       "--tracking-uri: want an address such as https://host",
	} {
		for _, command := range [][]string{
			{"run", filepath.Join(clitest.Root(), "configs", "quickstart.toml"), "--tracking-uri", uri},
			{"up", "--tracking-uri", uri},
		} {
			status, out, screen := clitest.Run(t, command...)
			if text := out + screen; status != 2 || !strings.Contains(text, want) || strings.Contains(text, "sh@") {
				t.Errorf("%v: status %d, want %q, got %s", command, status, want, text)
			}
		}
	}
}
