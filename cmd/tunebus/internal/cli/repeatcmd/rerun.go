package repeatcmd

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/submit"
	"github.com/tunebus/tunebus/events"
)

type rerunFlags struct {
	request runrequest.Flags
	submit  submit.Flags
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
		Example: "  tunebus rerun RUN --from inference --set inferencer.temperature=0",
		RunE: func(c *cobra.Command, args []string) error {
			request, err := f.read(c, args[0])
			if err != nil {
				return err
			}
			return submit.Send(c, s, f.submit, f.request.Files, request)
		},
	}
	c.Flags().StringVar(&f.from, "from", "", "phase to begin at: finetune, inference or evaluation; default: the first that has anything new to do")
	f.request.AddFlags(c)
	f.submit.AddFlags(c)
	session.CompleteValues(c, "from", string(events.Finetune), string(events.Inference), string(events.Evaluation))
	return c
}

// read checks the flags and reads the request.
func (f *rerunFlags) read(c *cobra.Command, run string) (runrequest.Request, error) {
	from := events.Phase(f.from)
	if from != "" && !from.Valid() {
		return runrequest.Request{}, exit.Input(fmt.Errorf("--from %s: want one of %v", f.from, events.Phases()))
	}
	if !events.ValidToken(run) {
		return runrequest.Request{}, exit.Input(fmt.Errorf("run %q: a run id has 1 to 64 letters, digits, \"_\" and \"-\"", run))
	}
	if err := f.submit.Check(); err != nil {
		return runrequest.Request{}, err
	}
	return f.request.Rerun(c, run, from)
}
