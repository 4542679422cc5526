package enginecmd

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/enginestate"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/enginelist"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/trainerinstall"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/trainerenv"
	"github.com/tunebus/tunebus/trainers"
)

type installFlags struct {
	data, into, python string
	shared, unlocked   bool
}

// Install is "tunebus engine install".
func Install(s *session.Session) *cobra.Command {
	var f installFlags
	c := &cobra.Command{
		Use: "install NAME", Short: "Make the Python environment of an engine",
		Long: `Makes an environment with the packages of an engine, each in the version and with
the content that this version of tunebus was tested with, and with its trainer. uv
makes it if it is on the path, else venv and pip do. It takes some GB.

The environment lies in the data folder, where run, up and a worker of its queue find
it. With --shared it lies in the user's folder of programs' data, for all data folders.
With --into it lies in a folder of yours, and services.finetune.command names it.

An environment is there when all of it is: after an interruption or an error there is
none, or the one from before. A second call does nothing, unless the environment is
stale.`,
		Example: "  tunebus engine install trl",
		Args:    session.ExactlyOne("the name of an engine: " + strings.Join(names(), " or ")),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			return f.install(c.Context(), s, args[0])
		},
	}
	addData(c, &f.data)
	c.Flags().BoolVar(&f.unlocked, "unlocked", false, "install the newest versions, which tunebus was not tested with, and make the environment anew in any case")
	c.Flags().BoolVar(&f.shared, "shared", false, "make it for all data folders of this user")
	c.Flags().StringVar(&f.into, "into", "", "folder of the environment, which services.finetune.command of the settings then names")
	c.Flags().StringVar(&f.python, "python", "", "Python to make it with; default: python3, or another one on the path that is new enough")
	c.MarkFlagsMutuallyExclusive("into", "shared", "data")
	return c
}

// names are the engines that have an environment.
func names() (out []string) {
	for _, e := range trainers.Engines() {
		out = append(out, e.Name)
	}
	return out
}

func (f *installFlags) install(ctx context.Context, s *session.Session, name string) error {
	engine, ok := trainers.Find(name)
	if !ok {
		if name == spec.Transformers {
			return exit.Input(fmt.Errorf("engine install %s: it answers in the environment of %s, which \"tunebus engine install %s\" makes, and services.inference.command names", name, trainers.TRL, trainers.TRL))
		}
		return exit.Input(fmt.Errorf("engine install %s: want one of %s; the other engines need no environment", name, strings.Join(names(), ", ")))
	}
	folder, err := f.folder(s, name)
	if err != nil {
		return err
	}
	env, made, err := trainerinstall.Install(ctx, trainerinstall.Options{
		Engine: engine, Folder: folder, Unlocked: f.unlocked, Python: f.python, Program: s.Version, Environ: os.Environ(), Say: s.Console.Say,
	})
	if err != nil {
		if ctx.Err() != nil {
			return interrupted(folder, name, f.again(s, name))
		}
		return fmt.Errorf("engine install %s: %w", name, err)
	}
	e := enginestate.Engine{
		Name: name, State: string(trainerinstall.Look(folder, engine).Condition), Folder: folder, Command: env.Command(), Python: env.Python, Versions: env.Versions, Usable: true,
	}
	if engine.Accelerator {
		s.Console.Say("%s trains on an accelerator alone; whether this machine has one shows when it trains", name)
	}
	return s.Console.Print(enginelist.Installed(e, made, f.next(env)))
}

// interrupted is the error of an installation that a signal ended.
func interrupted(folder, name, again string) error {
	left := "there is no environment"
	if _, err := trainerenv.Open(folder, name); err == nil {
		left = "the environment from before is as it was"
	}
	return &exit.Error{Code: exit.CodeInterrupted, Err: fmt.Errorf("interrupted; %s in %s, and this makes it anew:\n  %s", left, folder, again)}
}

// again is the command once more.
func (f *installFlags) again(s *session.Session, name string) string {
	words := []string{"engine", "install", name}
	for flag, value := range map[string]string{"--data": f.data, "--into": f.into} { // one of them at most
		if value != "" {
			words = append(words, flag, value)
		}
	}
	if f.python != "" {
		words = append(words, "--python", f.python)
	}
	if f.shared {
		words = append(words, "--shared")
	}
	if f.unlocked {
		words = append(words, "--unlocked")
	}
	return s.CommandLine(words...)
}

// folder is the absolute path of the environment.
func (f *installFlags) folder(s *session.Session, name string) (string, error) {
	switch {
	case f.into != "":
		return filepath.Abs(f.into)
	case f.shared:
		return trainerenv.Shared(name)
	}
	data := f.data
	if data == "" {
		cfg, err := s.Settings()
		if err != nil {
			return "", err
		}
		data = cfg.Data.Folder
	}
	folders, err := trainerenv.Folders(data, name)
	if err != nil {
		return "", err
	}
	return folders[0], nil
}

// next says how a run uses the environment.
func (f *installFlags) next(env trainerenv.Environment) string {
	if f.into == "" {
		return fmt.Sprintf("a run uses it with: --set fine_tuner.engine=%s", env.Engine)
	}
	quoted := make([]string, 0, len(env.Command()))
	for _, word := range env.Command() {
		quoted = append(quoted, fmt.Sprintf("%q", word))
	}
	return fmt.Sprintf("a worker uses it with these settings:\n  [services.finetune]\n  command = [%s]\n  queue = %q", strings.Join(quoted, ", "), env.Engine)
}
