package help

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// topics are the topics of "tunebus help TOPIC".
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-status", Short: "What the exit status of a command means", Long: exitStatus},
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

const exitStatus = `The exit status is part of the interface of the program:

  0    success
  1    any other error
  2    bad input, or a rejected request
  3    the run failed
  4    a gate was missed, or a phase failed and the run went on
  5    the run was cancelled
  6    a wait ran out; the run goes on
  7    runs were deleted, and something of them is left, as said
  129  its terminal was closed (SIGHUP)
  130  interrupted by Ctrl-C
  143  ended by a signal that asks for it (SIGTERM)

The verb up ends with 0 on these three, since they are how it is stopped.

Results go to stdout and everything else to stderr. With --json results are JSON,
and a command without a result writes a line with its faults and its status:

  {"faults": [{"key": "fine_tuner.epochs", "message": "..."}], "exit_status": 2}

A fault has file, Line, Column, key, value and allowed where they are known, and
always a message.`

// manPages is "tunebus man", which writes a manual page for each command.
func manPages(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a folder", GroupID: string(Configure),
		Example: "  tunebus man ~/.local/share/man/man1",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return exit.Input(errors.New("man: want the folder to write to"))
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			root.DisableAutoGenTag = true // so that the pages of two builds are equal
			if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "tunebus"}, args[0]); err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			fmt.Fprintf(c.ErrOrStderr(), "the manual pages are in %s; \"man %s\" shows the first one\n", args[0], shellquote.Word(filepath.Join(args[0], "tunebus.1")))
			return nil
		},
	}
}
