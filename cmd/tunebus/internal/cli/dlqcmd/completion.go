package dlqcmd

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/pipeline/bus/deadletter"
	"github.com/tunebus/tunebus/pipeline/redrive"
)

// completionLimit bounds how long a shell waits for proposals.
const completionLimit = 3 * time.Second

// maxProposed is how many letters a shell proposes: the newest ones.
const maxProposed = 50

// completeLetters proposes the numbers of dead letters to a shell, but those that
// stand there already, and at most so many. It proposes nothing where no server can be read.
func completeLetters(s *session.Session, at *session.Location, most int) cobra.CompletionFunc {
	return func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		const directive = cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		if len(args) >= most {
			return nil, directive
		}
		ctx, cancel := context.WithTimeout(c.Context(), completionLimit)
		defer cancel()
		c.SetContext(ctx)
		var out []cobra.Completion
		err := s.WithDeployment(at, func(ctx context.Context, server *session.Deployment, _ []string) error {
			letters, err := redrive.List(ctx, deadletter.New(server.Bus), redrive.Filter{})
			for _, l := range slices.Backward(letters) {
				n := fmt.Sprint(l.Sequence)
				if strings.HasPrefix(n, begun) && !slices.Contains(args, n) && len(out) < maxProposed {
					out = append(out, cobra.CompletionWithDesc(n, l.Subject+": "+strings.Join(strings.Fields(l.Reason), " ")))
				}
			}
			return err
		})(c, args)
		if err != nil {
			return nil, directive
		}
		return out, directive
	}
}
