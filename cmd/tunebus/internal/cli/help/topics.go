package help

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
)

// topics are the topics of "tunebus help TOPIC".
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "exit-status", Short: "What the exit status of a command means", Long: exitStatus},
	}
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
  130  interrupted by Ctrl-C

Results go to stdout and everything else to stderr. With --json results are JSON.`

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
		RunE: func(_ *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			root.DisableAutoGenTag = true // so that the pages of two builds are equal
			if err := doc.GenManTree(root, &doc.GenManHeader{Section: "1", Source: "tunebus"}, args[0]); err != nil {
				return fmt.Errorf("manual pages: %w", err)
			}
			return nil
		},
	}
}
