package runcmd

import (
	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/dispatch"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
)

type submitFlags struct {
	request     runrequest.Flags
	credentials runrequest.CredentialFlags
	dispatch    dispatch.Flags
}

// Submit is "tunebus submit".
func Submit(s *session.Session) *cobra.Command {
	var f submitFlags
	c := &cobra.Command{
		Use: "submit", Short: "Publish pipeline.requested and print the run's id", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if err := f.credentials.Refuse(); err != nil {
				return err
			}
			if err := f.dispatch.Check(); err != nil {
				return err
			}
			request, err := f.request.Request(c)
			if err != nil {
				return err
			}
			return dispatch.Send(c, s, f.dispatch, f.request.Files, request)
		},
	}
	f.request.AddFlags(c)
	f.credentials.AddFlags(c)
	f.dispatch.AddFlags(c)
	return c
}
