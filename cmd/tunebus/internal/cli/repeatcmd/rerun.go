package repeatcmd

import (
	"cmp"
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/localrun"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/submit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
)

type rerunFlags struct {
	request runrequest.Flags
	submit  submit.Flags
	local   localrun.Flags
	data    string
	from    string
}

// Rerun is "tunebus rerun".
func Rerun(s *session.Session) *cobra.Command {
	var f rerunFlags
	c := &cobra.Command{
		Use: "rerun RUN", Short: "Start a new run that uses again what an old one made", Args: session.ExactlyOne("RUN"),
		ValidArgsFunction: session.CompleteRuns(s, &session.Location{}),
		Long: `Starts a new run with the specification of an old one, and with what --config
and --set say over it. It begins at the phase that --from names and uses again
what the old run made before that.

Without --from it begins at the first phase that did not succeed or that a
change concerns, and repeats everything where there is neither. A change to a
phase that is not repeated is refused.`,
		Example: "  tunebus rerun last --from inference --set inferencer.temperature=0",
		RunE: func(c *cobra.Command, args []string) error {
			request, err := f.read(c, s, args[0]) // before anything is asked of a server
			if err != nil {
				return err
			}
			id, folder, err := f.find(c, s, args[0], request)
			if err != nil {
				return err
			}
			if err := request.Repeats(id); err != nil {
				return err
			}
			if err := noEffect(c, folder); err != nil {
				return err
			}
			if folder != "" {
				return f.onFolder(c, s, folder, request)
			}
			f.submit.Data = f.data
			return submit.Send(c, s, f.submit, f.request.Files, request)
		},
	}
	c.Flags().StringVar(&f.from, "from", "", "phase to begin at: finetune, inference or evaluation; default: the first that has anything new to do")
	f.request.AddFlags(c)
	f.submit.AddFlags(c)
	f.local.AddFlags(c)
	c.Flags().StringVar(&f.data, "data", "", "data folder of run and up: where neither works on it, the run goes to its end in this process; default: a running server, then the usual folder")
	session.CompleteValues(c, "from", string(events.Finetune), string(events.Inference), string(events.Evaluation))
	return c
}

// noEffect refuses flags that say how to wait for services, where the run goes to its
// end in this process, and the other way round.
func noEffect(c *cobra.Command, folder string) error {
	without, why := []string{"resume", "tracking-timeout"}, "services of a server work on the run"
	if folder != "" {
		without, why = []string{"wait", "timeout", "artifacts"}, "the run goes to its end in this process, on the data folder "+folder
	}
	for _, name := range without {
		if c.Flags().Changed(name) {
			return exit.Input(fmt.Errorf("--%s has no effect: %s", name, why))
		}
	}
	return nil
}

// find returns the id of the run that a person means, and the data folder that it
// lies in; empty on a server. The services of the folder need it for themselves, so
// it is closed again.
func (f *rerunFlags) find(c *cobra.Command, s *session.Session, text string, request runrequest.Request) (id, folder string, err error) {
	at := session.Location{Data: f.data}
	err = s.WithDeployment(&at, func(ctx context.Context, server *session.Deployment, _ []string) error {
		folder = server.Folder()
		if id, err = server.RunID(ctx, text); err != nil {
			return err
		}
		old, err := server.FindRepeatable(ctx, id)
		if err != nil {
			return err
		}
		if folder != "" && old.Completed == nil && f.from == "" && f.local.Skips() {
			return exit.Input(fmt.Errorf("run %s has stopped and not ended, and --resume=skip leaves it so: leave that out to go on with it first, take --resume=cancel to end it, "+
				"or say with --from at which phase a second one is to begin", id))
		}
		return checkInputs(ctx, s, server, old, request)
	})(c, nil)
	return id, folder, err
}

// onFolder works on the new run in this process.
func (f *rerunFlags) onFolder(c *cobra.Command, s *session.Session, folder string, r runrequest.Request) error {
	cfg, err := s.Settings(f.request.Files...)
	if err != nil {
		return err
	}
	cfg.Data.Folder = folder
	var places inprocess.Flags
	if err := places.Apply(&cfg); err != nil {
		return err
	}
	if kept := places.Kept(); kept != "" {
		s.Console.Say("%s", kept)
	}
	s.Console.Notes(r.Notes)
	return f.local.ToEnd(c.Context(), s, localrun.Start{Settings: cfg, Specifications: f.request.Files}, r)
}

// read checks the flags and reads the request.
func (f *rerunFlags) read(c *cobra.Command, s *session.Session, run string) (runrequest.Request, error) {
	from := events.Phase(f.from)
	if from != "" && !from.Valid() {
		return runrequest.Request{}, exit.Input(fmt.Errorf("--from %s: want one of %s", f.from, view.Words(events.Phases())))
	}
	if err := cmp.Or(f.local.Check(), f.submit.Check()); err != nil {
		return runrequest.Request{}, err
	}
	r, err := f.request.Rerun(c, run, from)
	if err != nil {
		return r, err
	}
	cfg, err := s.Settings(f.request.Files...)
	if err != nil {
		return r, err
	}
	return r, r.CheckNoSecrets(cfg)
}
