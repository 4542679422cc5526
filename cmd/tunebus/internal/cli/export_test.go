package cli

import (
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
)

// Verbs are all commands that do something, without the program's name.
func Verbs() (verbs []string) {
	var visit func(*cobra.Command)
	visit = func(c *cobra.Command) {
		for _, below := range c.Commands() {
			visit(below)
		}
		if c.Runnable() && c.HasParent() {
			verbs = append(verbs, strings.TrimPrefix(c.CommandPath(), "tunebus "))
		}
	}
	root := newRoot(session.New("test", view.NewConsole(io.Discard, io.Discard)))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	visit(root)
	return verbs
}
