package main

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"
)

// CONTRIBUTING.md has three kinds of blocks: ```bash is run here, in the
// checkout; ```sh is run by the tests of the manual, in a scratch folder with
// the program on its path; ```console is only shown.
const contributing = "CONTRIBUTING.md"

// contributingWords are its words in code type that name nothing in the tree.
var contributingWords = []string{
	"failpoint",           // of the Go tool
	"--verbose", "--json", // flags
	"engine",                   // a key of the specification
	"services.inference.queue", // a key of the settings
	"TUNEBUS",                  // a stream
	"bin/tunebus",              // made by the build
	"events: reject an empty run id",
}

// TestContributingTargets holds that the blocks of CONTRIBUTING.md name only
// targets that the Makefile has.
func TestContributingTargets(t *testing.T) {
	t.Parallel()
	known := readNames(t)
	for _, block := range codeBlock.FindAllString(content(t, contributing), -1) {
		for _, m := range regexp.MustCompile(`(?m)^make ([a-z-]+)`).FindAllStringSubmatch(block, -1) {
			if !known.isTarget(m[1]) {
				t.Errorf("%s: there is no target %s", contributing, m[1])
			}
		}
	}
}

// TestContributingCommands runs the commands of CONTRIBUTING.md.
func TestContributingCommands(t *testing.T) {
	t.Parallel()
	blocks := regexp.MustCompile("(?ms)^```bash\n(.*?)^```$").FindAllStringSubmatch(content(t, contributing), -1)
	if len(blocks) == 0 {
		t.Fatal("it has no commands")
	}
	for _, m := range blocks {
		first, _, _ := strings.Cut(m[1], "\n")
		t.Run(first, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			c := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", m[1])
			c.Dir = root
			// As the Makefile sets them, so that what it built is used again.
			c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-tags=disable_grpc_modules", "TMPDIR="+t.TempDir())
			c.WaitDelay = 5 * time.Second
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}
