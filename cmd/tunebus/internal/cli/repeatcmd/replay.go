package repeatcmd

import (
	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
)

// Replay is "tunebus replay", the parent of what goes through history again:
// the requests, which makes new runs, and the tracking, which makes none.
func Replay(*session.Session) *cobra.Command {
	return &cobra.Command{
		Use: "replay", Short: "Go through history again: requests, tracking, or pushes to the Hub",
		Long: `Three things can be gone through again:

  replay requests   submits past requests again, as new runs with new ids
  replay tracking   rebuilds MLflow runs, reports and the list of runs
                    from what is stored; no run is started
  replay publishing pushes to the Hugging Face Hub what was not pushed`,
	}
}
