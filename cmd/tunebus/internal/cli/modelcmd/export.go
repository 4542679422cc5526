package modelcmd

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runmodel"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/progress"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/modelexport"
	"github.com/tunebus/tunebus/pipeline/localinput"
)

type exportFlags struct {
	at      session.Location
	options modelexport.Options
	// artifact is the artifact to write in the place of the model.
	artifact string
}

// Export is "tunebus export".
func Export(s *session.Session) *cobra.Command {
	var f exportFlags
	c := &cobra.Command{
		Use: "export RUN DIR", Short: "Write the model that a run tuned to a folder", Args: runAndFolder,
		Long: `Writes the model that a run tuned to a new folder, which transformers, PEFT and
vLLM load: all weights where all were trained, and else the adapter. The adapter
names its base model by the id of the Hub, or by the absolute path of a folder of
this machine. --merge writes one whole model instead, --with-base puts the base
model beside the adapter.

--artifact writes another artifact of the run as it is, such as predictions,
trainer.log, or the folders wandb and tensorboard of a training that reports
there. Where several phases have one of the name, it is named with its phase, as
evaluation/metrics.`,
		Example: "  tunebus export last my-model\n  tunebus export last my-small-model --dtype float16\n  tunebus export last answers --artifact predictions",
		ValidArgsFunction: func(c *cobra.Command, args []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
			return session.CompleteRuns(s, &f.at)(c, args, begun)
		},
		PreRunE: func(*cobra.Command, []string) error { return f.check() },
		RunE: s.WithDeployment(&f.at, func(ctx context.Context, server *session.Deployment, args []string) error {
			if f.artifact != "" {
				return f.exportArtifact(ctx, s, server, args[0], args[1])
			}
			return f.export(ctx, s, server, args[0], args[1])
		}),
	}
	f.at.AddFlags(c)
	flags, o := c.Flags(), &f.options
	flags.BoolVar(&o.Merge, "merge", false, "merge an adapter into the weights of its base model")
	flags.BoolVar(&o.WithBase, "with-base", false, "put the base model beside an adapter, in the folder base")
	flags.StringVar(&f.artifact, "artifact", "", "write this artifact of the run instead, such as wandb, tensorboard or trainer.log")
	flags.StringVar(&o.DType, "dtype", "", "type of the weights: float32, float16 or bfloat16; default: the one that they have")
	flags.BoolVar(&o.Force, "force", false, "write into a folder that is not empty: replace the files of an earlier export, and nothing that no export wrote or that changed since")
	return c
}

// runAndFolder wants the two arguments.
func runAndFolder(_ *cobra.Command, args []string) error {
	if len(args) != 2 || args[1] == "" {
		return exit.Input(errors.New("want RUN and DIR, the folder to write to"))
	}
	return nil
}

// check checks the flags by themselves.
func (f *exportFlags) check() error {
	if f.options.Merge && f.options.WithBase {
		return exit.Input(errors.New("--merge and --with-base: choose one; merged weights need no base model"))
	}
	if o := f.options; f.artifact != "" && (o.Merge || o.WithBase || o.DType != "") {
		return exit.Input(errors.New("--artifact: an artifact is written as it is; leave --merge, --with-base and --dtype out"))
	}
	if !slices.Contains([]string{"", "float32", "float16", "bfloat16"}, f.options.DType) {
		return exit.Input(fmt.Errorf("--dtype %s: want one of float32, float16, bfloat16", f.options.DType))
	}
	return nil
}

func (f *exportFlags) export(ctx context.Context, s *session.Session, server *session.Deployment, run, dir string) error {
	model, source, err := runmodel.Find(ctx, s, server, run)
	if err != nil {
		return err
	}
	if f.options.Merge {
		err := runmodel.CheckReadable(model.Run, "--merge", "without it, the adapter is written, which PEFT reads and merges (merge_and_unload)")
		if err != nil {
			return err
		}
	}
	o := f.options
	if data := session.DataFolder(server); data != "" {
		if o.Inputs, err = localinput.Known(data); err != nil {
			return err
		}
	}
	stages := progress.OfStages(s.Console.Screen())
	o.OnStage, o.OnBytes = stages.Next, stages.Add
	result, err := modelexport.Write(ctx, source, model, dir, o)
	stages.Close()
	if err != nil {
		_, noBase := errors.AsType[*modelexport.NoBaseError](err)
		_, noEffect := errors.AsType[*modelexport.NoEffectError](err)
		if noBase || noEffect {
			err = exit.Input(err)
		}
		return runmodel.AsInput(placeError(err))
	}
	for _, note := range result.Notes {
		s.Console.Say("%s", view.Sentence(note))
	}
	return s.Console.Print(view.Exported(result))
}
