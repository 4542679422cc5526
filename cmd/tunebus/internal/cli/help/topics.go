package help

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// topics are the topics of "tunebus help TOPIC".
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-status", Short: "What the exit status of a command means", Long: exitStatus()},
	}
}

// topic marks a command whose help tells about its subject, too. Its value is what help
// says of the topic.
const topic = "topic"

// Tells marks a command as a topic.
func Tells(c *cobra.Command, about string) {
	if c.Annotations == nil {
		c.Annotations = map[string]string{}
	}
	c.Annotations[topic] = about
}

// topicLine is the line about a command that is a topic; empty for others.
func topicLine(c *cobra.Command) string {
	about := c.Annotations[topic]
	if c.IsAdditionalHelpTopicCommand() {
		about = c.Short
	}
	if about == "" {
		return ""
	}
	return fmt.Sprintf("%-12s %s", c.Name(), about)
}

// statuses are the exit statuses of the program with what they mean.
func statuses() [][2]string {
	return [][2]string{
		{"0", "success"},
		{"1", "any other error"},
		{"2", "bad input, or a rejected request"},
		{"3", "the run failed"},
		{"4", "a gate was missed, or a phase failed and the run went on"},
		{"5", "the run was cancelled"},
		{"6", "a wait ran out; the run goes on"},
		{"7", "runs were deleted, and something of them is left, as said"},
		{"129", "its terminal was closed (SIGHUP)"},
		{"130", "interrupted by Ctrl-C"},
		{"131", "ended by Ctrl-\\ (SIGQUIT), with what each goroutine did"},
		{"143", "ended by a signal that asks for it (SIGTERM)"},
	}
}

// exitStatus is the text of the topic.
func exitStatus() string {
	var list strings.Builder
	for _, s := range statuses() {
		fmt.Fprintf(&list, "  %-4s %s\n", s[0], s[1])
	}
	return fmt.Sprintf(aboutStatuses, list.String())
}

const aboutStatuses = `The exit status is part of the interface of the program:

%s
The verb up ends with 0 on 129, 130 and 143, since they are how it is stopped.

Results go to stdout and everything else to stderr. With --json results are JSON,
and a command without a result writes a line with its faults and its status:

  {"faults": [{"key": "run_id", "message": "..."}], "exit_status": 2}

A fault has file, line, column, key, value and allowed where they are known, and
always a message.`
