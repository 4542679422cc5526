package runcmd

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inputs"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/submit"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
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
		Example: "  tunebus submit configs/quickstart.toml --wait",
		RunE: func(c *cobra.Command, args []string) error {
			f.request.Files = append(f.request.Files, args...)
			if err := f.credentials.Refuse(); err != nil {
				return err
			}
			if err := f.submit.Check(); err != nil {
				return err
			}
			f.request.Look = inputs.Faults
			f.request.Images = inputs.Images
			request, err := f.request.Request(c)
			if err != nil {
				return err
			}
			err = submit.Send(c, s, f.submit, f.request.Files, request)
			if unreachable, ok := errors.AsType[*conn.UnreachableError](err); ok && unreachable.IsRefused() && session.UsualServer(s) {
				again := runrequest.Instead(&f.request, c, c)
				err = fmt.Errorf("%w\nthis starts services for it:\n  %s\nand this works on the run in a process of its own:\n  %s%s",
					err, s.CommandLine("up"), s.CommandLine(runrequest.Instead(&f.request, c, Run(s))...), elsewhere(s, err, again))
			}
			return err
		},
	}
	f.request.AddFlags(c)
	f.credentials.AddFlags(c)
	f.submit.AddFlags(c)
	c.Flags().StringVar(&f.submit.Data, "data", "", "data folder that an up or a run of this machine works on; default: a running server")
	return c
}

// elsewhere are the commands that have an up of another data folder work on a request, where
// nobody works on the usual one. again are the words that ask for the same once more.
func elsewhere(s *session.Session, err error, again []string) string {
	const most = 3
	none, ok := errors.AsType[*session.NoServicesError](err)
	if !ok {
		return ""
	}
	text := ""
	for _, up := range none.Ups[:min(most, len(none.Ups))] {
		text += fmt.Sprintf("\nand this has the up at %s work on it:\n  %s", up.URL, s.CommandLine(append(slices.Clone(again), "--data", up.Data)...))
	}
	return text
}
