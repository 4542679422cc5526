package modelcmd

import (
	"context"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/interrupt"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runmodel"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/progress"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/conversation"
	"github.com/tunebus/tunebus/llm/generation"
	"github.com/tunebus/tunebus/llm/sampling"
)

type chatFlags struct {
	at           session.Location
	base         bool
	system       string
	temperature  float64
	maxNewTokens int
}

// Chat is "tunebus chat".
func Chat(s *session.Session) *cobra.Command {
	var f chatFlags
	c := &cobra.Command{
		Use: "chat RUN", Short: "Talk with the model that a run tuned", Args: session.ExactlyOne("RUN"),
		Long: `Talks with the model that a run tuned, on the built-in engine. Each line of the
input is a message, and what was said before belongs to the conversation. The
system prompt, the way of choosing tokens and the bits of the weights are those of
the run.

/reset begins a new conversation, /exit or the end of the input ends the command.
Ctrl-C ends an answer, and where there is none the command.`,
		Example:           "  tunebus chat last\n  tunebus chat last --base",
		ValidArgsFunction: session.CompleteRuns(s, &f.at),
		RunE:              func(c *cobra.Command, args []string) error { return f.chat(c, s, args) },
	}
	f.at.AddFlags(c)
	flags := c.Flags()
	flags.BoolVar(&f.base, "base", false, "the base model answers too, to compare")
	flags.StringVar(&f.system, "system", "", "system prompt; default: the run's")
	flags.Float64Var(&f.temperature, "temperature", 0, "0: always the likeliest token; default: the run's")
	flags.IntVar(&f.maxNewTokens, "max-new-tokens", 0, "tokens of an answer, at most; default: the run's")
	return c
}

// chat brings the models to a folder, leaves the server and its data folder,
// and talks.
func (f *chatFlags) chat(c *cobra.Command, s *session.Session, args []string) error {
	if !(f.temperature >= 0) || math.IsInf(f.temperature, 0) { // no comparison is true of NaN
		return exit.Input(fmt.Errorf("--temperature %v: want a number, 0 or more", f.temperature))
	}
	if f.maxNewTokens < 1 && c.Flags().Changed("max-new-tokens") {
		return exit.Input(fmt.Errorf("--max-new-tokens %d: want 1 or more", f.maxNewTokens))
	}
	if !utf8.ValidString(f.system) {
		return exit.Input(fmt.Errorf("--system %w", errNotText))
	}
	cfg, err := s.Settings()
	if err != nil {
		return err
	}
	return runmodel.WithScratch(cfg.Data.Scratch, "chat", func(dir string) error {
		var partners []*conversation.Partner
		err := s.WithDeployment(&f.at, func(ctx context.Context, server *session.Deployment, args []string) error {
			var err error
			partners, err = f.open(ctx, c, s, server, args[0], dir)
			return err
		})(c, args)
		if err != nil {
			return err
		}
		presses, giveBack := interrupt.Take(c.Context())
		defer giveBack()
		if err := c.Context().Err(); err != nil { // while a model was read, which does not end with the context
			return err
		}
		talk := &talk{partners: partners, view: s.Console.Chat(c.InOrStdin(), len(partners) > 1), console: s.Console, presses: presses}
		return talk.run(c.Context(), c.InOrStdin())
	})
}

// open opens the models that answer, the tuned one last.
func (f *chatFlags) open(ctx context.Context, c *cobra.Command, s *session.Session, server *session.Deployment, run, dir string) ([]*conversation.Partner, error) {
	stages := progress.OfStages(s.Console.Screen())
	defer stages.Close()
	model, folders, err := runmodel.Fetch(ctx, s, server, stages, runmodel.Wanted{Run: run, For: "chat", Dir: dir, Base: f.base})
	if err != nil {
		return nil, err
	}
	stages.Next("reading the model", 0)
	spec := model.Run.Accepted.Specification.Inferencer
	o := conversation.Options{
		System: runmodel.SystemPrompt(model.Run), MaxPrompt: spec.MaxSequenceLength,
		Generate: generation.Prompt{
			MaxNewTokens: spec.MaxNewTokens,
			Sampling:     sampling.Config{Temperature: spec.Temperature, TopK: spec.TopK, TopP: spec.TopP, MinP: spec.MinP, RepetitionPenalty: spec.RepetitionPenalty, Seed: uint64(spec.Seed)},
		},
	}
	var said string
	if o.Bits, said = runmodel.Bits(model.Run); said != "" {
		s.Console.Say("note: %s", said)
	}
	if c.Flags().Changed("system") {
		o.System = f.system
	}
	if c.Flags().Changed("temperature") {
		o.Generate.Sampling.Temperature = f.temperature
	}
	if f.maxNewTokens > 0 {
		o.Generate.MaxNewTokens = f.maxNewTokens
	}
	tuned, err := conversation.Open("tuned", folders, o)
	if err != nil {
		return nil, fmt.Errorf("the model of run %s: %w", model.Run.ID, err)
	}
	if !f.base {
		return []*conversation.Partner{tuned}, nil
	}
	base, err := conversation.Open("base", conversation.Folders{Base: folders.Base}, o)
	if err != nil {
		return nil, fmt.Errorf("the base model of run %s: %w", model.Run.ID, err)
	}
	return []*conversation.Partner{base, tuned}, nil
}
