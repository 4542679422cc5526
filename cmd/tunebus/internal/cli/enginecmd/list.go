package enginecmd

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/enginestate"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/programcheck"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/enginelist"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/trainerinstall"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// List is "tunebus engine list".
func List(s *session.Session) *cobra.Command {
	var data string
	c := &cobra.Command{
		Use: "list", Short: "List the engines, and what this machine has of each", Args: session.NoArgs,
		Long: `Lists every engine that a specification may name, with where its environment is
and whether it is whole:

  ok         it is as this version of tunebus was tested
  unlocked   it has the newest versions of the day it was made
  stale      another version of tunebus made it; it works
  half made  a process makes it, or was killed meanwhile; nothing uses it
  broken     something of it is gone; nothing uses it
  missing    there is none
  settings   the settings name its command: services.finetune.command, ...
  server     a model server has it: services.inference.endpoint names that
  built in   it is a part of tunebus`,
		Example: "  tunebus engine list",
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := s.Settings()
			if err != nil {
				return err
			}
			if data != "" {
				cfg.Data.Folder = data
			}
			all, err := enginestate.All(cfg)
			if err != nil {
				return err
			}
			for i := range all {
				askProgram(c.Context(), cfg, &all[i])
			}
			if data != "" { // what makes an environment makes it there
				for i, e := range all {
					if strings.HasPrefix(e.Do, enginestate.Makes) {
						all[i].Do += " --data " + shellquote.Word(data)
					}
				}
			}
			return s.Console.Print(enginelist.Result(all))
		},
	}
	addData(c, &data)
	return c
}

// listPatience is how long the list waits for a program: its libraries may take long to load.
const listPatience = 15 * time.Second

// askProgram asks the program of the settings that an engine is whether it is whole.
func askProgram(ctx context.Context, cfg settings.Settings, e *enginestate.Engine) {
	if e.State != enginestate.Settings {
		return
	}
	p, ok := programcheck.Trainer(cfg.Finetune)
	if !slices.Contains(e.Phases, events.Finetune) {
		p, ok = programcheck.Generator(cfg.Inference)
	}
	if !ok {
		return
	}
	if _, fault := p.Describe(ctx, listPatience); fault != nil && !fault.Slow {
		e.State, e.Usable = string(trainerinstall.Broken), false
		e.Says, e.Do = fault.Says, fault.Do
	}
}

func addData(c *cobra.Command, to *string) {
	c.Flags().StringVar(to, "data", "", "data folder of run and up; default: the settings' data.folder, tunebus-data")
}
