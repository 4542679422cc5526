package clitest

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// quoted are commands of the program in a sentence.
var quoted = regexp.MustCompile("[\"`](tunebus [^\"`\n]+)[\"`]")

// Proposed are the commands of the program that texts propose, as the arguments that a shell makes
// of them: lines of their own, and what stands in quotes.
func Proposed(t *testing.T, texts ...string) (commands [][]string) {
	t.Helper()
	for line := range strings.Lines(strings.Join(texts, "\n")) {
		line = strings.TrimSpace(line)
		var found []string
		if strings.HasPrefix(line, "tunebus ") {
			found = []string{line}
		}
		for _, m := range quoted.FindAllStringSubmatch(line, -1) {
			found = append(found, m[1])
		}
		for _, command := range found {
			words, err := exec.CommandContext(t.Context(), "sh", "-c", `for word in `+strings.TrimPrefix(command, "tunebus ")+`; do printf '%s\0' "$word"; done`).Output()
			if err != nil {
				t.Fatalf("%s: %v", command, err)
			}
			commands = append(commands, strings.Split(strings.TrimSuffix(string(words), "\x00"), "\x00"))
		}
	}
	return commands
}
