package runrequest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/oklog/ulid/v2"
	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Request is a run that a person asks for.
type Request struct {
	ID string
	// IDChosen is set if a person chose the id.
	IDChosen      bool
	Labels        map[string]string
	Specification events.Specification
	// RerunOf is the run to repeat, starting at From; if From is empty, intake
	// decides. A rerun has no Specification: Overrides, as JSON, are the only
	// keys that it changes.
	RerunOf   string
	From      events.Phase
	Overrides json.RawMessage
	// Notes name the keys that have no effect, or not the whole effect.
	Notes structconf.Faults
	// Files are the local files that the run needs, by the key that names each.
	Files map[string]string
	// Images are the images that data files name, by the key of each, relative to
	// its folder. They are uploaded with it.
	Images map[string][]string
	// CopyInputs stores all of them, also those that services could read where
	// they lie.
	CopyInputs bool
	// Again are the words of the command that asks for the same once more, without
	// the program and the flags that every command has.
	Again []string
}

// Request reads and checks everything that a person says about a run. All
// faults come at once.
func (f *Flags) Request(c *cobra.Command) (Request, error) {
	s, src, faults, err := f.specification(c)
	if err != nil {
		return Request{}, err
	}
	r := Request{Specification: s, Notes: src.notes(s), Again: f.againWords(c)}
	more := f.complete(&r, neededPaths(s), src)
	wrong, notes := checkAnswers(c.Context(), s, src.answers)
	more = append(more, wrong...)
	r.Notes = append(r.Notes, notes...)
	r.Notes = append(r.Notes, src.adapterNotes(s, r.Files)...)
	r.Notes = append(r.Notes, src.hubNotes(neededPaths(s), r.Files)...)
	r.Notes = append(r.Notes, withoutEffect(f, s)...)
	if f.Look != nil {
		wrong, unusual := f.Look(c.Context(), s, r.Files)
		more = append(more, wrong.Beside(append(more, faults...)...)...)
		r.Notes = append(r.Notes, src.tree.Locate(nil, unusual)...)
	}
	faults = append(faults, src.tree.Locate(nil, more)...)
	faults.Sort()
	if len(faults) == 0 && f.Images != nil {
		r.Images = f.Images(c.Context(), s, r.Files)
	}
	if err = Faulty(faults); err != nil && len(f.Files)+len(f.sets) == 0 {
		err = fmt.Errorf("%w\nno specification was given; \"tunebus config init my-run.toml\" writes one to fill in", err)
	}
	return r, err
}

// Rerun reads and checks what a person says about a run that repeats another
// one.
func (f *Flags) Rerun(c *cobra.Command, run string, from events.Phase) (Request, error) {
	r := Request{RerunOf: run, From: from, Again: f.againWords(c)}
	src, faults, err := f.source(c)
	if err != nil {
		return r, err
	}
	var overrides events.Specification // keys that are not overridden stay empty
	faults = append(faults, structconf.Decode(&overrides, src.tree)...)
	if r.Overrides, err = json.Marshal(src.tree.Sections); err != nil {
		return r, exit.Input(fmt.Errorf("changes to run %s: %w", run, err))
	}
	paths := slices.DeleteFunc(spec.Paths(overrides), func(p spec.Path) bool {
		// Skipped phases need no input files.
		return slices.Index(events.Phases(), p.Phase) < slices.Index(events.Phases(), from)
	})
	faults = append(faults, f.complete(&r, paths, src)...)
	r.Notes = src.hubNotes(paths, r.Files)
	return r, Faulty(faults)
}

// Repeats says which run the request repeats, by its id.
func (r *Request) Repeats(run string) error {
	if !events.ValidToken(run) {
		return exit.Input(fmt.Errorf("run %q: a run id has 1 to 64 letters, digits, \"_\" and \"-\"", run))
	}
	r.RerunOf, r.Again = run, slices.Insert(r.Again, 1, run)
	return nil
}

// complete adds what is said beside the specification, and the local files
// that the keys of paths name.
func (f *Flags) complete(r *Request, paths []spec.Path, src source) structconf.Faults {
	var faults structconf.Faults
	if r.ID, r.IDChosen = f.runID, f.runID != ""; r.ID == "" {
		r.ID = ulid.Make().String()
	} else if events.ReservedRunID(r.ID) {
		faults = append(faults, structconf.Fault{Key: "--run-id", Value: r.ID, Message: events.ReservedRunIDs})
	} else if !events.ValidToken(r.ID) {
		message := `a run id has 1 to 64 letters, digits, "_" and "-"`
		if n := len(r.ID); n > 64 {
			message += ", not " + events.Count(n)
		}
		faults = append(faults, structconf.Fault{Key: "--run-id", Value: r.ID, Message: message})
	}
	var more structconf.Faults
	r.Labels, more = f.readLabels(src)
	faults = append(faults, more...)
	r.Files, more = localFiles(src.answers, paths, src.folders)
	r.CopyInputs = f.copyInputs
	return append(faults, more...)
}

// readLabels reads the labels, those of flags over those of files; nil without any.
func (f *Flags) readLabels(src source) (map[string]string, structconf.Faults) {
	labels, given := maps.Clone(src.labels), map[string]string{}
	var faults structconf.Faults
	for _, l := range f.labels {
		name, value, ok := strings.Cut(l, "=")
		if !ok || name == "" {
			faults = append(faults, structconf.Fault{Key: "--label", Value: l, Message: "want name=value"})
			continue
		}
		if first, twice := given[name]; twice && first != value {
			faults = append(faults, structconf.Fault{Key: "--label", Value: l, Message: fmt.Sprintf("%s is %s already; a label has one value", name, first)})
			continue
		}
		given[name] = value
	}
	if labels == nil && len(given) > 0 {
		labels = map[string]string{}
	}
	maps.Copy(labels, given)
	return labels, faults
}

// CheckRerunSize refuses a rerun whose run would have events that are too large.
// old is the run to repeat; without its accepted fact only what the rerun changes
// counts, and intake checks the rest.
func (r Request) CheckRerunSize(old events.Run) error {
	base, labels := spec.Defaults(), map[string]string{}
	if old.Accepted != nil {
		base = old.Accepted.Specification
		maps.Copy(labels, old.Accepted.Labels)
	}
	maps.Copy(labels, r.Labels)
	merged, _ := spec.Over(base, r.Overrides) // its other faults are intake's to find
	return Faulty(faultsOf(spec.SizeFaults(events.PipelineRequested{Labels: labels}, merged)))
}
