package runrequest

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/hint"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Flags describe a run: files, and values that override what they hold.
type Flags struct {
	// Files are the files of the specification, which may hold settings too.
	Files []string
	// Look, if set, looks into the local files that the phases of a specification
	// read, by key, and returns what is wrong with them, and what is unusual about them.
	Look func(ctx context.Context, s events.Specification, files map[string]string) (faults, notes structconf.Faults)
	// Images, if set, finds the files of images that the rows of local data files
	// name, by the key of each data file, relative to its folder.
	Images func(ctx context.Context, s events.Specification, files map[string]string) map[string][]string

	sets   []string
	runID  string // empty: a new id is made
	labels []string
	// predictions and baseline are files of answers that replace inference.
	predictions, baseline string
	// copyInputs stores inputs that could stay where they are.
	copyInputs bool
	phases     phaseFlags
}

// phaseFlags are the flags that switch phases, by the names that the original
// Python pipeline gives to the phases.
type phaseFlags struct{ skip, stopAfter, enable map[string]*bool }

// phaseNames are the phases as the flags call them, in their order.
func phaseNames() []string { return []string{"finetuning", "inference", "evaluation"} }

// AddSpecificationFlags adds the flags of a specification alone to a command.
func (f *Flags) AddSpecificationFlags(c *cobra.Command) {
	flags := c.Flags()
	flags.StringArrayVarP(&f.Files, "config", "c", nil, "specification (TOML); several are merged in order")
	flags.StringArrayVar(&f.sets, "set", nil, "section.key=value, on top of the files")
}

// AddFlags adds the flags to a command, those of the original Python pipeline
// among them.
func (f *Flags) AddFlags(c *cobra.Command) {
	f.AddSpecificationFlags(c)
	flags := c.Flags()
	flags.StringVar(&f.runID, "run-id", "", "id of the run; default: a new one")
	flags.StringArrayVar(&f.labels, "label", nil, "name=value, to find the run by")
	flags.StringVar(&f.predictions, "predictions", "", "file of answers to evaluate: nothing is trained and nothing is answered")
	flags.StringVar(&f.baseline, "baseline-predictions", "", "another model's answers to the same rows, to compare")
	flags.BoolVar(&f.copyInputs, "copy-inputs", false, "store models and data of this machine, too, for any worker to fetch, instead of reading them where they lie")
	f.phases = phaseFlags{skip: map[string]*bool{}, stopAfter: map[string]*bool{}, enable: map[string]*bool{}}
	for _, p := range phaseNames() {
		f.phases.skip[p] = flags.Bool("skip-"+p, false, "leave "+p+" out")
		f.phases.enable[p] = flags.Bool("enable-"+p, true, "do "+p)
		if p != "evaluation" {
			f.phases.stopAfter[p] = flags.Bool("stop-after-"+p, false, "end behind "+p)
		}
	}
}

// assignments are the flags that switch phases, as assignments to keys.
func (f phaseFlags) assignments(c *cobra.Command) []string {
	var out []string
	for _, p := range phaseNames() {
		if c.Flags().Changed("enable-" + p) {
			out = append(out, fmt.Sprintf("pipeline.enable_%s=%t", p, *f.enable[p]))
		}
		if skip := f.skip[p]; skip != nil && *skip {
			out = append(out, "pipeline.enable_"+p+"=false")
		}
		if stop := f.stopAfter[p]; stop != nil && *stop {
			out = append(out, "pipeline.stop_after_"+p+"=true")
		}
	}
	return out
}

// notRepeated are the flags that a command which asks for the same once more does not
// have: the credentials, which must not appear on the screen, and what is new each time.
func notRepeated() []string {
	return []string{"config", "run-id", "hf-key", "openai-key", "mlflow-username", "mlflow-password"}
}

// againWords are the words of the command, which ask for the same once more.
func (f *Flags) againWords(c *cobra.Command) []string {
	return f.Words(c, c)
}

// Instead are the words of another command that asks for the run of this one, which was not
// published: it keeps its id.
func Instead(f *Flags, c, other *cobra.Command) []string {
	out := f.Words(c, other)
	if id := c.Flags().Lookup("run-id"); id != nil && id.Changed {
		out = append(out, hint.Words(id)...)
	}
	return out
}

// Words are the words of another command that asks for the same run: those of this one that
// the other has, too.
func (f *Flags) Words(c, other *cobra.Command) []string {
	out := []string{other.Name()}
	for _, file := range f.Files {
		out = append(out, "--config", file)
	}
	c.LocalNonPersistentFlags().VisitAll(func(flag *pflag.Flag) {
		if flag.Changed && !slices.Contains(notRepeated(), flag.Name) && other.Flags().Lookup(flag.Name) != nil {
			out = append(out, hint.Words(flag)...)
		}
	})
	return out
}
