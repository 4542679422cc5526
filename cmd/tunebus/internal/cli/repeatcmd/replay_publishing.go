package repeatcmd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/artifact"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/services/tracker/publishing"
)

type replayPublishingFlags struct {
	at     session.Location
	runs   []string
	token  string
	anew   bool
	always bool
	dryRun bool
}

// ReplayPublishing returns the command "replay publishing".
func ReplayPublishing(s *session.Session) *cobra.Command {
	var f replayPublishingFlags
	c := &cobra.Command{
		Use: "publishing", Short: "Push to the Hugging Face Hub again what was not pushed", Args: session.NoArgs,
		Long: `What runs made and asked to have pushed (fine_tuner.push_to_hub, hf_user_id) is
pushed to the Hub again where that failed or was skipped, with the token of the
settings or of --hf-key. What the Hub has already is not committed a second time.

With --anew also what was pushed before is compared with the Hub, and pushed where
it differs. With --push-always a run that missed a gate is pushed nevertheless.`,
		Example: `  tunebus replay publishing --run last
  tunebus replay publishing --dry-run
  tunebus replay publishing --run last --push-always`,
		RunE: s.WithStore(&f.at, func(ctx context.Context, server *session.Deployment, store *artifact.Store) error {
			cfg := publishing.ConfigFrom(server.Settings)
			if f.token != "" {
				cfg.Token = f.token
			}
			cfg.Logger = s.Logger()
			p, err := publishing.New(server.Bus, store, cfg)
			if err != nil {
				return exit.Input(err)
			}
			return f.replay(ctx, s.Console, server, p)
		}),
	}
	f.at.AddFlags(c)
	flags := c.Flags()
	flags.StringArrayVar(&f.runs, "run", nil, "only this run, archived or not; may be repeated. Default: every run that the stream holds")
	flags.StringVar(&f.token, "hf-key", "", "token for the Hugging Face Hub; default $HF_TOKEN")
	flags.BoolVar(&f.anew, "anew", false, "also what was pushed before")
	flags.BoolVar(&f.always, "push-always", false, "also where a gate was missed; needs --run")
	flags.BoolVar(&f.dryRun, "dry-run", false, "only say what would be pushed")
	return c
}

func (f *replayPublishingFlags) replay(ctx context.Context, console *view.Console, server *session.Deployment, p *publishing.Publisher) error {
	if f.always && len(f.runs) == 0 {
		return exit.Input(errors.New("--push-always is for runs that --run names"))
	}
	runs, err := f.selected(ctx, server)
	if err != nil {
		return err
	}
	pushed, unchanged, failed := 0, 0, 0
	for _, run := range runs {
		results, err := p.Replay(ctx, run, publishing.Replay{Anew: f.anew, Always: f.always, DryRun: f.dryRun})
		for _, one := range results {
			switch {
			case one.Unchanged:
				unchanged++
			case one.Outcome == events.Pushed, f.dryRun && one.Reason == "":
				pushed++
			default:
				failed++
			}
			row := view.Republished{PublishedCompleted: one.PublishedCompleted, Recorded: one.Recorded, Unchanged: one.Unchanged, DryRun: f.dryRun}
			if err := console.PrintRow(row.Row()); err != nil {
				return err
			}
		}
		isOther := errors.Is(err, publishing.ErrNothing) || errors.Is(err, publishing.ErrOpen)
		switch {
		case err == nil || isOther && len(f.runs) == 0:
		case isOther:
			return exit.Input(errors.Join(errors.New("run "+run), err))
		default:
			return err
		}
	}
	verb := "pushed"
	if f.dryRun {
		verb = "would be pushed"
	}
	there := ""
	if unchanged > 0 {
		there = fmt.Sprintf(", %d there already", unchanged)
	}
	console.Say("%s %s%s, %d not", view.Count(pushed, "product"), verb, there, failed)
	if failed > 0 && !f.dryRun {
		return exit.Silent(exit.CodeError)
	}
	return nil
}

// selected are the runs that the flags name, or all of the stream.
func (f *replayPublishingFlags) selected(ctx context.Context, server *session.Deployment) ([]string, error) {
	if len(f.runs) == 0 {
		return runlister.New(server.Bus).Accepted(ctx)
	}
	runs := slices.Clone(f.runs)
	for i, text := range runs {
		var err error
		if runs[i], err = server.RunID(ctx, text); err != nil {
			return nil, err
		}
		if _, err := server.FindRepeatable(ctx, runs[i]); err != nil {
			return nil, err
		}
	}
	return runs, nil
}
