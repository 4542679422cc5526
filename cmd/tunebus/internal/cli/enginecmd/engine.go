// Package enginecmd holds the commands engine list and engine install, for the engines and
// their environments, and engine check and engine describe, which look at a command that
// trains.
package enginecmd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/trainercheck"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child"
	"github.com/tunebus/tunebus/pipeline/child/conformance"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/pipeline/trainerenv"
)

// Engine is "tunebus engine", the parent of the others.
func Engine(*session.Session) *cobra.Command {
	return &cobra.Command{Use: "engine", Short: "List and install engines, and look at commands that train"}
}

// Describe is "tunebus engine describe".
func Describe(s *session.Session) *cobra.Command {
	var environment []string
	c := &cobra.Command{
		Use: "describe [NAME | -- COMMAND...]", Short: "Print what an engine or a command that trains says of itself",
		Long: `Asks an engine that was installed, or a command, for its versions, devices and keys.
Without either it is services.finetune.command of the settings.`,
		Example: "  tunebus engine describe trl\n  tunebus engine describe -- python3 trainer.py",
		RunE: func(c *cobra.Command, args []string) error {
			command, more, err := named(s, c, args, environment)
			if err != nil {
				return err
			}
			d, err := child.Describe(c.Context(), command, child.Environment(os.Environ(), more, nil))
			if err != nil {
				return exit.Input(err)
			}
			return s.Console.Print(trainercheck.Description(d))
		},
	}
	addEnvironment(c, &environment)
	return c
}

func addEnvironment(c *cobra.Command, to *[]string) {
	c.Flags().StringArrayVar(to, "env", nil, "further variable that the command gets, NAME or NAME=value; may be repeated")
}

// named returns the command of an engine that was installed, if the arguments are its
// name, or else what commandOf returns.
func named(s *session.Session, c *cobra.Command, args, environment []string) (command, more []string, err error) {
	if len(args) != 1 || c.ArgsLenAtDash() >= 0 {
		return commandOf(s, args, environment)
	}
	if !slices.Contains(names(), args[0]) {
		if _, err := exec.LookPath(args[0]); err == nil {
			return commandOf(s, args, environment)
		}
		return nil, nil, exit.Input(fmt.Errorf("%q is no engine that says what it is, and no program; want one of %s, a command behind --, or no name: that is services.finetune.command of the settings",
			args[0], strings.Join(names(), ", ")))
	}
	cfg, err := s.Settings()
	if err != nil {
		return nil, nil, err
	}
	if len(cfg.Finetune.Command) > 0 && cfg.Finetune.Queue == args[0] {
		return commandOf(s, nil, environment)
	}
	env, err := trainerenv.Find(cfg.Data.Folder, args[0])
	if err != nil {
		return nil, nil, exit.Input(err)
	}
	return env.Command(), slices.Concat(cfg.Finetune.Environment, environment), nil
}

// commandOf returns the command of a person, or that of the settings, with the
// variables that it gets.
func commandOf(s *session.Session, args, environment []string) (command, more []string, err error) {
	if len(args) > 0 {
		if _, err := exec.LookPath(args[0]); err != nil {
			return nil, nil, exit.Input(err)
		}
		return args, environment, nil
	}
	cfg, err := s.Settings()
	if err != nil {
		return nil, nil, err
	}
	if len(cfg.Finetune.Command) == 0 {
		return nil, nil, exit.Input(errors.New("no command: name one behind --, or services.finetune.command in the settings"))
	}
	return cfg.Finetune.Command, slices.Concat(cfg.Finetune.Environment, environment), nil
}

type checkFlags struct {
	environment, set []string
	model            string
	notExact         bool
}

// Check is "tunebus engine check".
func Check(s *session.Session) *cobra.Command {
	var f checkFlags
	c := &cobra.Command{
		Use: "check [-- COMMAND...]", Short: "Check whether a command that trains keeps to the protocol",
		Long: `Starts a command on small jobs, in the place of a worker: from start to end, from a
checkpoint, stopped, killed, with a connection that breaks, and with too little
memory. Without a command it is services.finetune.command of the settings.

The results of all jobs have to be equal. There is no server, and the model is a
small one of random weights unless --model names another. The exit status is 3 if
there is a fault.`,
		Example: `  tunebus engine check -- python3 trainer.py
  tunebus engine check --set fine_tuner.rank=8 -- python3 trainer.py`,
		RunE: func(c *cobra.Command, args []string) (err error) {
			command, more, err := commandOf(s, args, f.environment)
			if err != nil {
				return err
			}
			cfg := conformance.Config{Command: command, Environ: os.Environ(), More: more, NotExact: f.notExact}
			if cfg.Keys, err = f.keys(); err != nil {
				return err
			}
			if cfg.Model, err = modelFolder(f.model); err != nil {
				return err
			}
			if cfg.Scratch, err = os.MkdirTemp("", "tunebus-check-*"); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(cfg.Scratch)) }()
			found := []conformance.Finding{}
			ok := conformance.Check(c.Context(), cfg, func(one conformance.Finding) {
				found = append(found, one)
				trainercheck.Finding(s.Console, one)
			})
			if c.Context().Err() != nil {
				return c.Context().Err()
			}
			if err := s.Console.Print(trainercheck.Checked(found)); err != nil {
				return err
			}
			if !ok {
				return exit.Silent(exit.CodeFailure)
			}
			return nil
		},
	}
	addEnvironment(c, &f.environment)
	c.Flags().StringArrayVar(&f.set, "set", nil, "key of the jobs, as fine_tuner.rank=8; may be repeated")
	c.Flags().StringVar(&f.model, "model", "", "folder of a base model; default: a small one of random weights")
	c.Flags().BoolVar(&f.notExact, "not-exact", false, "do not compare the results")
	return c
}

// small are keys of few rows in a step, and of many checkpoints, so that there is
// something to stop and to resume.
func small() []string {
	return []string{"fine_tuner.epochs=3", "fine_tuner.save_steps=4", "fine_tuner.device_train_batch_size=2", "fine_tuner.grad_accumulation=2"}
}

// keys are the keys of the jobs.
func (f *checkFlags) keys() (events.FineTuner, error) {
	_, missing, err := decode(small()) // such as the data, which a check has itself
	if err != nil {
		return events.FineTuner{}, err
	}
	s, faults, err := decode(slices.Concat(small(), f.set))
	if err != nil {
		return s.FineTuner, err
	}
	faults = slices.DeleteFunc(faults, func(f structconf.Fault) bool { return slices.Contains(missing, f) })
	if len(faults) > 0 {
		return s.FineTuner, faults
	}
	return s.FineTuner, nil
}

// decode decodes a specification of keys with their values.
func decode(assignments []string) (events.Specification, structconf.Faults, error) {
	var tree structconf.Tree
	for _, one := range assignments {
		if fault := tree.Set(one); fault != nil {
			return events.Specification{}, nil, structconf.Faults{*fault}
		}
	}
	s, faults := spec.Decode(tree)
	return s, faults, nil
}

// modelFolder is the absolute path of a model's folder.
func modelFolder(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return "", exit.Input(fmt.Errorf("--model %s: there is no such folder", path))
	}
	return filepath.Abs(path)
}
