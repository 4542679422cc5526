package cli

import (
	"fmt"

	"github.com/spf13/cobra"
)

// replayCommand holds what goes through history again: the requests, which
// makes new runs, and the tracking of the runs that were, which makes none.
func (a *app) replayCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "replay", Short: "Go through history again: requests, or tracking",
		Long: `Two things can be gone through again:

  replay requests   submits past requests again, as new runs with new ids
  replay tracking   rebuilds the MLflow runs, the reports and the list of runs
                    from what is stored; no run is started`,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return bad(fmt.Errorf("replay %s: want requests or tracking", args[0]))
			}
			return c.Help()
		},
	}
	c.AddCommand(a.replayRequestsCommand(), a.replayTrackingCommand())
	return c
}
