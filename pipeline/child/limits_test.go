package child

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestLimitsOfTheManual: the table of limits in docs/trainers.md says what the code keeps to.
func TestLimitsOfTheManual(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/trainers.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(page), "\n## Limits\n")
	table, _, ends := strings.Cut(table, "\n## ")
	if !found || !ends {
		t.Fatal("the manual has no section of limits")
	}
	said := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^\| (.+?) \| (.+) \|$`).FindAllStringSubmatch(table, -1) {
		said[m[1]] = strings.ReplaceAll(m[2], ",", "")
	}
	const mebibyte = 1 << 20
	times := Timing{}.withDefaults()
	for what, want := range map[string][]string{
		"a line of the connection, with its end, both ways": {fmt.Sprintf("%d MiB", maxLine/mebibyte)},
		"points of one `progress`":                          {fmt.Sprint(maxPoints)},
		"a text":                                            {fmt.Sprintf("%d bytes", maxText)},
		"a note of the run":                                 {fmt.Sprintf("%d bytes", events.MaxNoteBytes)},
		"a line of stdout or stderr":                        {fmt.Sprintf("longer than %d bytes", maxText)},
		"a line of `tunebus logs` while the trainer works":  {fmt.Sprintf("%d bytes", events.MaxLogLineBytes)},
		"`trainer.log`": {
			fmt.Sprintf("the first %d MiB", headBytes/mebibyte), fmt.Sprintf("at least the last %v MiB", float64(tailBytes)/2/mebibyte),
			fmt.Sprintf("%d MiB at most", tailBytes/mebibyte),
		},
		"connections of a job":                      {fmt.Sprint(maxConnections)},
		"from a connection to its `hello`":          {fmt.Sprintf("%v s", times.Hello.Seconds())},
		"without a connection, after the first one": {fmt.Sprintf("%v s", times.Lost.Seconds())},
		"from `result` or `error` to the end":       {fmt.Sprintf("%v s", times.End.Seconds())},
	} {
		for _, w := range want {
			if !strings.Contains(said[what], w) {
				t.Errorf("%s: the manual says %q, want %q", what, said[what], w)
			}
		}
	}
}
