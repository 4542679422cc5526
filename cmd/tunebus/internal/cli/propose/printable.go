package propose

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
)

// printable makes proposals that a shell can show: it writes descriptions, which hold
// names that anybody may have chosen, to the terminal as they are. A proposal that
// holds such characters itself cannot be typed, and is left out.
func printable(propose cobra.CompletionFunc) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		proposals, directive := propose(c, args, begun)
		var out []cobra.Completion
		for _, p := range proposals {
			choice, about, described := strings.Cut(p, "\t")
			switch {
			case view.Printable(choice) != choice:
			case described:
				out = append(out, cobra.CompletionWithDesc(choice, view.Printable(strings.Join(strings.Fields(about), " "))))
			default:
				out = append(out, p)
			}
		}
		return out, directive
	}
}
