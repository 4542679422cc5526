package firsthour

import (
	"regexp"
	"strings"
)

// masks are what differs from one hour to the next.
var masks = []struct {
	is *regexp.Regexp
	as string
}{
	{regexp.MustCompile(`127\.0\.0\.1`), "LOOPBACK"},
	{regexp.MustCompile(`LOOPBACK:\d{5}`), "LOOPBACK:PORT"},
	{regexp.MustCompile(`\b[0-9A-HJKMNP-TV-Z]{26}\b`), "ID"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "DIGEST"},
	{regexp.MustCompile(`\b[0-9a-f]{32}\b`), "HEX"},
	{regexp.MustCompile(`\b\d{15,}\b`), "NUMBER"},
	{regexp.MustCompile(`\b[a-z]+-[a-z]+-\d{3}\b`), "NAME"},
	{regexp.MustCompile(`\b[\w.-]+-\d+-[0-9a-f]{6}\b`), "WORKER"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?Z?`), "TIME"},
	{regexp.MustCompile(`\b\d\d:\d\d:\d\d\b`), "TIME"},
	{regexp.MustCompile(`\b(\d+h)?(\d+m)?\d+(\.\d+)?s\b`), "DURATION"},
	{regexp.MustCompile(`\b\d+(\.\d+)? [kMG]B\b`), "SIZE"},
	{regexp.MustCompile(`\b\d+\.\d+\b`), "N"},
	{regexp.MustCompile(`\b\d+ bytes`), "N bytes"},
	{regexp.MustCompile(` {2,}`), "  "},
	// Whether a run is seen before its worker took it is not known.
	{regexp.MustCompile(`(?m)^(finetune|inference|evaluation) +waits for a worker of .*: none has been seen\n`), ""},
	// How many attempts there are before a Ctrl-C is not known.
	{regexp.MustCompile(`(?m)^(finetune|inference|evaluation) \d+  .*\n`), ""},
	{regexp.MustCompile(`\nATTEMPT  OUTCOME .*\n`), ""},
	{regexp.MustCompile(`cancelled  N  \d+`), "cancelled  N  COUNT"},
	// A cancellation that takes no time that could be shown has none.
	{regexp.MustCompile(`( was cancelled) within (N|\d+) m?s`), "$1"},
}

// mask masks what differs from one hour to the next. dir is the working folder.
func mask(text, dir string) string {
	text = strings.ReplaceAll(text, dir, "DIR")
	for _, m := range masks {
		text = m.is.ReplaceAllString(text, m.as)
	}
	return text
}

// proposed finds the commands that a screen proposes: lines that begin with the
// program, and commands in double quotes.
func proposed(screen, program string) (commands []string) {
	quoted := regexp.MustCompile(`"(` + regexp.QuoteMeta(program) + ` [^"]+)"`)
	for line := range strings.Lines(screen) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, program+" ") {
			commands = append(commands, line)
			continue
		}
		for _, m := range quoted.FindAllStringSubmatch(line, -1) {
			commands = append(commands, m[1])
		}
	}
	return commands
}
