package runcmd

import (
	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inputs"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/submit"
)

type submitFlags struct {
	request     runrequest.Flags
	credentials runrequest.CredentialFlags
	submit      submit.Flags
}

// Submit is "tunebus submit".
func Submit(s *session.Session) *cobra.Command {
	var f submitFlags
	c := &cobra.Command{
		Use: "submit [FILE...]", Short: "Publish pipeline.requested and print the run's id",
		Example: "  tunebus submit my-run.toml --wait",
		RunE: func(c *cobra.Command, args []string) error {
			f.request.Files = append(f.request.Files, args...)
			if err := f.credentials.Refuse(); err != nil {
				return err
			}
			if err := f.submit.Check(); err != nil {
				return err
			}
			f.request.Images = inputs.Images
			request, err := f.request.Request(c)
			if err != nil {
				return err
			}
			return submit.Send(c, s, f.submit, f.request.Files, request)
		},
	}
	f.request.AddFlags(c)
	f.credentials.AddFlags(c)
	f.submit.AddFlags(c)
	return c
}
