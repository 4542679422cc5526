package cli

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// asked is what a person says about a run: files, and flags on top.
type asked struct {
	files []string
	sets  []string
	// folders are where the relative paths of keys start, by key: the folder
	// of the file that gives the key. What a flag gives starts in the working
	// folder.
	folders map[string]string

	// runID and labels are the run's own; without an id it gets one.
	runID  string
	labels []string

	// predictions and baseline are files of answers that replace inference.
	predictions, baseline string

	skip, stop, enable map[string]*bool
}

// flags adds the flags to a command, the seed's among them.
func (q *asked) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVarP(&q.files, "config", "c", nil, "specification (TOML); several are merged in order")
	f.StringArrayVar(&q.sets, "set", nil, "section.key=value, on top of the files")
	f.StringVar(&q.runID, "run-id", "", "id of the run; default: a new one")
	f.StringArrayVar(&q.labels, "label", nil, "name=value, to find the run by")
	f.StringVar(&q.predictions, "predictions", "", "answers to evaluate (JSON lines with question, ground_truth and answer) instead of an inference")
	f.StringVar(&q.baseline, "baseline-predictions", "", "another model's answers to the same rows, to compare")
	q.skip, q.stop, q.enable = map[string]*bool{}, map[string]*bool{}, map[string]*bool{}
	for _, p := range []string{"finetuning", "inference", "evaluation"} {
		q.skip[p] = f.Bool("skip-"+p, false, "leave "+p+" out")
		q.enable[p] = f.Bool("enable-"+p, true, "do "+p)
		if p != "evaluation" {
			q.stop[p] = f.Bool("stop-after-"+p, false, "end behind "+p)
		}
	}
}

// read merges files and flags and checks the result; all faults come at once.
func (q *asked) read(c *cobra.Command) (events.Specification, structconf.Faults, error) {
	tree, faults, err := q.tree(c)
	if err != nil {
		return events.Specification{}, nil, err
	}
	s, more := spec.Decode(tree)
	faults = append(faults, more...)
	faults.Sort()
	return s, faults, nil
}

// tree merges files and flags. The error is that of files that cannot be read
// or parsed: what they say is not known, so that nothing more can be found.
func (q *asked) tree(c *cobra.Command) (tree structconf.Tree, faults structconf.Faults, err error) {
	for _, file := range q.files {
		body, err := os.ReadFile(file)
		if err != nil {
			return tree, nil, bad(fmt.Errorf("read specification: %w", err))
		}
		t, f := structconf.ParseTOML(file, body)
		faults = append(faults, f...)
		if len(f) == 0 {
			tree.Merge(t)
		}
	}
	if len(faults) > 0 {
		return tree, nil, faulty(faults)
	}
	faults = append(faults, assign(&tree, append(q.switches(c), q.sets...))...)
	faults = append(faults, tree.Unknown(settings.Known())...)
	q.folders = map[string]string{}
	for key, at := range tree.Positions {
		if slices.Contains(q.files, at.File) {
			q.folders[key] = filepath.Dir(at.File)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(tree.Positions)) {
		at := tree.Positions[key]
		if section, _, _ := strings.Cut(key, "."); at.File == structconf.FromFlag && slices.Contains(settings.Sections(), section) {
			faults = append(faults, structconf.Fault{File: at.File, Key: key, Message: "is a setting, and --set changes the specification; write it into tunebus.toml, or set its TUNEBUS_ variable"})
		}
	}
	for _, section := range settings.Sections() {
		delete(tree.Sections, section) // a file may hold settings too
	}
	return tree, append(faults, expand(tree)...), nil
}

// assign puts assignments over a tree.
func assign(tree *structconf.Tree, sets []string) structconf.Faults {
	var faults structconf.Faults
	for _, s := range sets {
		if f := tree.Set(s); f != nil {
			f.Message += meant(s)
			faults = append(faults, *f)
		}
	}
	return faults
}

// meant names the keys that an assignment without a section may mean.
func meant(assignment string) string {
	word, _, _ := strings.Cut(assignment, "=")
	var names, keys []string
	for _, k := range spec.Keys() {
		names = append(names, k.Name)
	}
	near := structconf.Nearest(strings.TrimSpace(word), names)
	for _, k := range spec.Keys() {
		if k.Name == near {
			keys = append(keys, strconv.Quote(k.Section+"."+k.Name))
		}
	}
	if len(keys) == 0 {
		return ""
	}
	return "; did you mean " + strings.Join(keys, " or ") + "?"
}

// faulty is the error of a specification that has faults.
func faulty(faults structconf.Faults) error {
	if len(faults) == 0 {
		return nil
	}
	return bad(fmt.Errorf("%d faults in the specification:\n%w", len(faults), faults))
}

// switches are the flags of the seed that switch phases, as assignments.
func (q *asked) switches(c *cobra.Command) []string {
	var out []string
	for _, p := range []string{"finetuning", "inference", "evaluation"} {
		if c.Flags().Changed("enable-" + p) {
			out = append(out, fmt.Sprintf("pipeline.enable_%s=%t", p, *q.enable[p]))
		}
		if *q.skip[p] {
			out = append(out, "pipeline.enable_"+p+"=false")
		}
		if stop := q.stop[p]; stop != nil && *stop {
			out = append(out, "pipeline.stop_after_"+p+"=true")
		}
	}
	return out
}
