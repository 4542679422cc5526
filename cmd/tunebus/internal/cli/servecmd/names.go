package servecmd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/runmodel"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/session"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// isFolder reports whether a path or an id of the Hub is a folder of this machine. It is
// an error if it can be neither.
func isFolder(name string) (bool, error) {
	info, err := os.Stat(name)
	switch {
	case err == nil && info.IsDir():
		return true, nil
	case err == nil && llm.GGUF(name) != "":
		return false, exit.Input(fmt.Errorf("%s is a GGUF file, which tunebus does not read; %s", name, llm.InsteadOfGGUF))
	case err == nil:
		return false, exit.Input(fmt.Errorf("%s is a file; want the folder of a model", name))
	case !spec.IsHubID(name):
		return false, exit.Input(fmt.Errorf("%s: there is no such folder, and it is no id of the Hub", name))
	}
	return false, nil
}

// folderNames finds the names of a folder, or of a model that the Hub has.
func folderNames(arg string) (source, error) {
	from := source{arg: arg, names: []string{arg}, what: arg, root: arg}
	here, err := isFolder(arg)
	if err != nil || !here {
		return from, err
	}
	whole, err := filepath.Abs(arg)
	if err != nil {
		return from, err
	}
	from.names = []string{filepath.Base(whole), arg}
	return from, nil
}

// runNames finds the run that an argument means, and its names.
func runNames(ctx context.Context, server *session.Deployment, arg string) (source, error) {
	run, err := runmodel.FindRun(ctx, server, arg)
	if err != nil {
		return source{}, orFolder(arg, err)
	}
	from := source{arg: arg, run: run.ID, what: "the model of run " + run.ID, root: run.ID}
	if name := run.Accepted.RunName; name != "" {
		from.names = append(from.names, name)
	}
	from.names = append(from.names, run.ID)
	return from, nil
}

// orFolder adds to an error about a run that a folder has its name, if one does.
func orFolder(run string, err error) error {
	if info, stat := os.Stat(run); stat == nil && info.IsDir() {
		err = exit.Join(err, fmt.Errorf("%s is a folder, too: write ./%s to serve the model in it", run, run))
	}
	return err
}

// checkNames refuses arguments that have a name in common: a request with it could not say
// which of them it means. What is not looked up yet has no names.
func checkNames(sources []source) error {
	var faults []error
	for i, later := range sources {
		for _, earlier := range sources[:i] {
			at := slices.IndexFunc(later.names, func(name string) bool { return slices.Contains(earlier.names, name) })
			if at < 0 {
				continue
			}
			faults = append(faults, sameName(earlier, later, later.names[at]))
		}
	}
	if len(faults) > 0 {
		return exit.Input(errors.Join(faults...))
	}
	return nil
}

// sameName says that two arguments have a name, and what to do.
func sameName(a, b source, name string) error {
	switch {
	case a.arg == b.arg:
		return fmt.Errorf("%s is there twice; leave one of them out", a.arg)
	case a.run != "" && a.run == b.run:
		return fmt.Errorf("%s and %s are both run %s; leave one of them out", a.arg, b.arg, a.run)
	case a.run == "" && b.run == "" && sameFolder(a.arg, b.arg):
		return fmt.Errorf("%s and %s are the same folder; leave one of them out", a.arg, b.arg)
	}
	text := fmt.Sprintf("%s and %s are both called %s, so that a request for %s could mean either: serve them apart, each by a command of its own with --name and another --listen",
		a.said(), b.said(), name, name)
	if a.run == "" || b.run == "" {
		text += "; or give a folder another name, such as that of a link to it"
	}
	return errors.New(text)
}

// said is what an argument is.
func (s source) said() string {
	switch s.run {
	case "":
		return "the folder " + s.arg
	case s.arg:
		return "the run " + s.arg
	}
	return fmt.Sprintf("the run %s (%s)", s.arg, s.run)
}

func sameFolder(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}

// leftOut are the names of base models beside adapters that are not served under them: an
// argument has the name, or two base models do. Where that is another model, note says so:
// nobody named those base models. name is that of --name.
func leftOut(sources []source, name string, note func(...string)) map[string]bool {
	out := map[string]bool{}
	for i, from := range sources {
		if from.base == "" {
			continue
		}
		for j, other := range sources {
			names := other.names
			if name != "" {
				names = []string{name}
			}
			switch {
			case slices.Contains(names, from.base):
				out[from.base] = true
				if other.base != "" || !sameFolder(other.Weights(), from.Weights()) {
					note(fmt.Sprintf("the base model of %s is not served beside it: its name is %s, and that is %s", from.what, from.base, other.what))
				}
			case j < i && other.base == from.base && !sameBase(other, from):
				out[from.base] = true
				note(fmt.Sprintf("the base models of %s and %s are both called %s and are not the same, so that neither is served", other.what, from.what, from.base))
			}
		}
	}
	return out
}

// sameBase reports whether two adapters have the same base model.
func sameBase(a, b source) bool {
	return a.baseDigest != "" && a.baseDigest == b.baseDigest || sameFolder(a.Weights(), b.Weights())
}
