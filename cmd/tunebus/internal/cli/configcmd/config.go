// Package configcmd holds the commands config check, config doc and config init,
// which read or write specifications and settings.
package configcmd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/help"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inprocess"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/inputs"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runrequest"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/hostmemory"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/shellquote"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// twoKinds is the help of "tunebus config".
const twoKinds = `There are two kinds of configuration.

The specification says what a run is: the sections fine_tuner, inferencer,
evaluator, mlflow and pipeline. It travels with the run.

  --config FILE         a file (TOML); several are merged in order
  --set section.key=V   one value, over the files
  tunebus config doc    every key with its meaning, default and values;
                        with a section or a key behind it, that alone
  tunebus config init   a file with every key to start from
  tunebus config check  all faults of a file at once, with line and column

The settings say how services run: the sections bus, artifacts, data,
credentials, limits and services. They never travel.

  --settings FILE       a file (TOML); default $TUNEBUS_SETTINGS, then
                        ./tunebus.toml
  TUNEBUS_...           a variable for each key, such as TUNEBUS_BUS_URL
  flags                 over both
  tunebus config doc settings

A file that is given to run or up may hold both. Its section run holds what
stands beside a specification: labels, predictions, baseline_predictions.

Secrets are settings: credentials.huggingface_token or $HF_TOKEN and their like.
They never stand in an event, a log line or a report. ${NAME} in a specification
is replaced by the variable where a person submits it, except for secrets.`

// Config is "tunebus config", the parent of the others.
func Config(*session.Session) *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "Check, start or look up a specification", Long: twoKinds}
	help.Tells(c, "The specification of a run, and the settings of services")
	return c
}

// Check is "tunebus config check".
func Check(s *session.Session) *cobra.Command {
	var f runrequest.Flags
	c := &cobra.Command{
		Use: "check [FILE...]", Short: "Report every fault of a specification and of settings",
		Example: "  tunebus config check configs/quickstart.toml",
		RunE: func(c *cobra.Command, args []string) error {
			f.Files = append(f.Files, args...)
			checked, err := f.Specification(c)
			if err != nil {
				return err
			}
			found := inputs.Check(c.Context(), hostmemory.Machine(), checked.Specification, checked.Files)
			faults := append(checked.Faults, checked.Locate(found.Faults.Beside(checked.Faults...))...)
			more, err := settingsFaults(slices.Concat(s.SettingsFlags(), f.Files))
			if err != nil {
				return err
			}
			for _, fault := range more {
				if !slices.Contains(faults, fault) { // an unknown section is a fault of both
					faults = append(faults, fault)
				}
			}
			faults.Sort()
			if err := runrequest.Faulty(faults); err != nil {
				return err
			}
			notes := append(checked.Notes, checked.Locate(found.Notes)...)
			for _, fault := range checked.Locate(found.TooLarge) {
				found.Warnings = append(found.Warnings, fault.String()+"; a run on this machine is refused")
			}
			warnings := append(found.Warnings, noEnvironments(s, checked.Specification, f.Files)...)
			if !s.Console.JSON { // which has them in the result
				s.Console.Notes(notes)
				s.Console.Warnings(warnings)
			}
			return s.Console.Print(view.Specification(checked.Specification, notes.Lines(), warnings))
		},
	}
	f.AddFlags(c)
	return c
}

// noEnvironments says which engines of a specification have no environment for a run on this
// machine. That is no fault of a file: a server may have it.
func noEnvironments(s *session.Session, specification events.Specification, files []string) (missing []string) {
	cfg, err := s.Settings(files...)
	if err != nil {
		return nil // the faults of the settings are said elsewhere
	}
	for _, step := range spec.Plan(specification) {
		err := noAnswerer(cfg, specification, step)
		if step.Phase == events.Finetune {
			err = inprocess.NoEnvironment(cfg, step.Queue)
		}
		if err != nil {
			missing = append(missing, fmt.Sprintf("%s.engine: %v; without it only a server whose workers have it can do the run", spec.Section(step.Phase), err))
		}
	}
	return missing
}

// noAnswerer is why no worker with these settings answers the prompts of a step; nil if one
// does, and of every other phase.
func noAnswerer(cfg settings.Settings, specification events.Specification, step events.Step) error {
	if step.Phase != events.Inference || inprocess.Takes(cfg, step.Phase, step.Queue) {
		return nil
	}
	switch specification.Inferencer.Engine {
	case spec.OpenAI:
		return fmt.Errorf("the engine %s asks a model server, and services.inference.endpoint of the settings names none", spec.OpenAI)
	case spec.Transformers:
		return fmt.Errorf("the engine %s is a program, and services.inference.command of the settings names none", spec.Transformers)
	}
	return nil
}

// settingsFaults finds the faults of the settings in files. The environment is
// left out: what this machine's variables say is no fault of a file.
func settingsFaults(files []string) (structconf.Faults, error) {
	_, err := settings.Load(files, nil)
	if faults, ok := errors.AsType[structconf.Faults](err); ok {
		return faults, nil
	}
	if err != nil {
		return nil, exit.Input(err)
	}
	return nil, nil
}

// Doc is "tunebus config doc".
func Doc(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use: "doc [specification | settings | SECTION | KEY]", Short: "Print keys with their default and their meaning",
		Long: `Prints every key of a specification, or those that a name means: every key of the
settings, a section such as fine_tuner, a key such as fine_tuner.learning_rate, or
its name alone, in whatever sections it is.`,
		Example: "  tunebus config doc settings\n  tunebus config doc fine_tuner.learning_rate",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return exit.Input(fmt.Errorf("config doc: want one section or key, but got %q, too", args[1]))
			}
			return nil
		},
		ValidArgsFunction: cobra.FixedCompletions(documented(), cobra.ShellCompDirectiveNoFileComp),
		RunE: func(_ *cobra.Command, args []string) error {
			reference, err := view.Reference(append(args, "specification")[0])
			if err != nil {
				return err
			}
			return s.Console.Print(reference)
		},
	}
}

// documented are the arguments that are proposed to a person who types.
func documented() (out []cobra.Completion) {
	out = []cobra.Completion{"specification", "settings"}
	for _, k := range slices.Concat(spec.Keys(), structconf.Keys(settings.Settings{})) {
		if !slices.Contains(out, k.Section) {
			out = append(out, k.Section)
		}
		out = append(out, k.Section+"."+k.Name)
	}
	return out
}

// Init is "tunebus config init".
func Init(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use: "init FILE", Short: "Write a specification with every key to start from", Args: session.ExactlyOne("FILE"),
		Example: "  tunebus config init my-run.toml",
		RunE: func(_ *cobra.Command, args []string) error {
			if err := writeSpecification(args[0]); err != nil {
				return err
			}
			return s.Console.Print(view.NewSpecification(args[0]))
		},
	}
}

// writeSpecification writes a specification with every key into a new file.
func writeSpecification(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return exit.Input(fmt.Errorf("config init: %s is there already, and stays as it is; name another file, or look at it with \"tunebus config check %s\"", file, shellquote.Word(file)))
	}
	if err != nil {
		return exit.Input(fmt.Errorf("config init: %w", err))
	}
	if err := structconf.Reference(f, events.Specification{}, spec.Remark); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
