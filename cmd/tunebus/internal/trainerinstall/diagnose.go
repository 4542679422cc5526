package trainerinstall

import (
	"fmt"
	"strings"

	"github.com/tunebus/tunebus/pipeline/child/supervisor"
)

// cause is what the output of uv, pip or venv means.
type cause struct {
	words []string // one of them stands in the output, in small letters
	says  string
}

// causes are looked for from the first one on.
func causes() []cause {
	return []cause{
		{
			[]string{"no space left on device", "os error 28", "disk quota exceeded"},
			"the disk is full; make room, or name another place with --into",
		},
		{
			[]string{"do not match the hashes", "hash mismatch"},
			"a package has another content than the one that this program was tested with, and was not installed; " +
				"look which index uv and pip use, and call this again; --unlocked takes what the index has",
		},
		{
			[]string{"ensurepip is not available", "no module named venv", "no module named ensurepip", "no module named pip"},
			"this Python cannot make environments; install the package python3-venv of your system, or install uv",
		},
		{
			[]string{
				"temporary failure in name resolution", "name or service not known", "failed to establish a new connection", "connection refused",
				"network is unreachable", "dns error", "error sending request", "connect error", "connection error", "failed to fetch", "timed out",
				"proxyerror", "max retries exceeded",
			},
			"the packages cannot be fetched; this needs a network, or an index that uv and pip know by their own settings",
		},
		{
			[]string{"(from versions: none)"},
			"the index that uv and pip use cannot be reached, or does not have a package at all; this needs a network, or an index that they know by their own settings",
		},
		{
			[]string{"no matching distribution found", "no solution found", "could not find a version"},
			"the index that uv and pip use does not have a package in the version that is wanted; look at their own settings",
		},
		{[]string{"permission denied"}, "this user may not write there; name another place with --into"},
	}
}

// diagnose says why a command failed.
func diagnose(program string, exit supervisor.Exit, output string) error {
	small := strings.ToLower(output)
	says := ""
	for _, c := range causes() {
		for _, word := range c.words {
			if says == "" && strings.Contains(small, word) {
				says = c.says
			}
		}
	}
	ended := fmt.Sprintf("ended with status %d", exit.Status)
	if exit.Signal != "" {
		ended = fmt.Sprintf("was ended by the signal %q", exit.Signal)
	}
	if says == "" {
		says = fmt.Sprintf("%s %s, and the environment was not made", program, ended)
	}
	return fmt.Errorf("%s\nthe last lines of %s, which %s:\n%s", says, program, ended, lastLines(output))
}

// lastLines are the last lines of an output that say something.
func lastLines(output string) string {
	const most, longest = 8, 300
	var lines []string
	for line := range strings.Lines(output) {
		if line = strings.TrimRight(line, " \r\n"); line != "" {
			lines = append(lines, "  "+line[:min(len(line), longest)])
		}
	}
	return strings.Join(lines[max(0, len(lines)-most):], "\n")
}
