package runrequest

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runconfig"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/shellquote"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// source is what files and flags say about a specification.
type source struct {
	tree structconf.Tree
	// folders are where the relative paths of keys start, by key: the folder of
	// the file that gives the key. The path of a flag starts in the working
	// folder, and has no entry.
	folders map[string]string
	// labels are those of the files; nil without any.
	labels map[string]string
	// answers are the files of answers, of flags or else of files.
	answers answerFiles
}

// Checked is a specification with what was found in it.
type Checked struct {
	Specification events.Specification
	// Faults are all faults, sorted by position. Among them are paths that do not
	// exist.
	Faults structconf.Faults
	// Notes name the keys that have no effect, or not the whole effect.
	Notes structconf.Faults
	// Files are the local files that the enabled phases read, by key.
	Files map[string]string

	source source
}

// Locate gives faults the positions of their keys.
func (c Checked) Locate(faults structconf.Faults) structconf.Faults {
	return c.source.tree.Locate(nil, faults)
}

// Local returns the path on this machine that a key names with a value, and whether it
// exists. A relative path starts in the folder of the file that sets the key.
func (c Checked) Local(key, value string) (path string, exists bool) {
	path, info := localPath(spec.Path{Key: key, Value: value}, c.source.folders[key])
	return path, info != nil
}

// Partial merges files and flags as [Flags.Specification] does, for a command that
// does no phase: keys that a run would need may be missing, and no file is looked for.
func (f *Flags) Partial(c *cobra.Command) (Checked, error) {
	partial := *f
	for _, key := range []string{"enable_finetuning", "enable_inference", "enable_evaluation"} {
		partial.sets = append(partial.sets[:len(partial.sets):len(partial.sets)], "pipeline."+key+"=false")
	}
	s, src, faults, err := partial.specification(c)
	if err == nil {
		err = Faulty(faults)
	}
	return Checked{Specification: s, source: src}, err
}

// Specification merges files and flags and checks the result. The error is that of a
// file that cannot be read or parsed.
func (f *Flags) Specification(c *cobra.Command) (Checked, error) {
	s, src, faults, err := f.specification(c)
	if err != nil {
		return Checked{}, err
	}
	out := Checked{Specification: s, Faults: faults, Notes: src.notes(s), source: src}
	files, more := localFiles(src.answers, neededPaths(s), src.folders)
	out.Files = files
	out.Notes = append(out.Notes, src.adapterNotes(s, files)...)
	out.Notes = append(out.Notes, src.hubNotes(neededPaths(s), files)...)
	wrong, notes := checkAnswers(c.Context(), s, src.answers)
	more = append(more, wrong...)
	out.Notes = append(out.Notes, notes...)
	out.Faults = append(out.Faults, src.tree.Locate(nil, more)...)
	return out, nil
}

// notes returns the notes about a specification, each with its position.
func (s source) notes(specification events.Specification) structconf.Faults {
	return s.tree.Locate(nil, spec.Notes(specification))
}

func (f *Flags) specification(c *cobra.Command) (events.Specification, source, structconf.Faults, error) {
	src, faults, err := f.read()
	if err != nil {
		return events.Specification{}, src, nil, err
	}
	faults = append(faults, f.override(c, &src, src.answers.replace()...)...)
	s, more := spec.Decode(src.tree)
	labels, _ := f.readLabels(src) // the faults of the flags are not of the specification
	sizes := spec.SizeFaults(events.PipelineRequested{Labels: labels}, s)
	// The sizes are the first faults of their keys, because a long list is cut at
	// its end.
	faults = slices.Concat(src.tree.Locate(nil, faultsOf(sizes)), faults, more)
	faults.Sort()
	return s, src, faults, nil
}

// source merges files and flags. If a file cannot be read or parsed, checking
// stops there: what the file says is not known.
func (f *Flags) source(c *cobra.Command) (source, structconf.Faults, error) {
	src, faults, err := f.read()
	if err != nil {
		return src, nil, err
	}
	return src, append(faults, f.override(c, &src)...), nil
}

// read merges the files, and takes out what stands beside their specification.
func (f *Flags) read() (source, structconf.Faults, error) {
	src := source{folders: map[string]string{}}
	faults, err := merge(&src.tree, f.Files)
	if err != nil {
		return src, nil, err
	}
	if len(faults) > 0 {
		return src, nil, Faulty(faults)
	}
	run, faults := runconfig.Take(src.tree)
	src.labels, src.answers = run.Labels, f.answers(run, src.tree)
	return src, faults, nil
}

// override puts assignments over the files, those that follow from what stands
// beside the specification before those of flags.
func (f *Flags) override(c *cobra.Command, src *source, follows ...string) structconf.Faults {
	faults := assign(&src.tree, slices.Concat(follows, f.phases.assignments(c), f.sets))
	if _, set := src.tree.Sections[runconfig.Section]; set {
		faults = append(faults, structconf.Fault{File: structconf.FromFlag, Key: runconfig.Section,
			Message: "stands beside the specification; use --label, --predictions or --baseline-predictions"})
		delete(src.tree.Sections, runconfig.Section)
	}
	faults = append(faults, src.tree.Unknown(settings.Known())...)
	for key, at := range src.tree.Positions {
		if slices.Contains(f.Files, at.File) {
			src.folders[key] = filepath.Dir(at.File)
		}
	}
	faults = append(faults, settingsInFlags(src.tree)...)
	for _, section := range settings.Sections() {
		delete(src.tree.Sections, section) // a file may hold settings too
	}
	return append(faults, expandVariables(src.tree)...)
}

// merge reads files and merges them in order. The faults are those of their
// syntax.
func merge(tree *structconf.Tree, files []string) (structconf.Faults, error) {
	var faults structconf.Faults
	for _, file := range files {
		body, err := structconf.ReadFile(file)
		if err != nil {
			return nil, exit.Input(fmt.Errorf("read specification: %w", err))
		}
		t, f := structconf.ParseTOML(file, body)
		if len(f) > 0 && isData(file) {
			word := shellquote.Word(file)
			return nil, exit.Input(fmt.Errorf("%s is a data file, and no specification (TOML); data are named in one, or by --set fine_tuner.training_data_id=%s, and answers by --predictions %s",
				file, word, word))
		}
		faults = append(faults, f...)
		if len(f) == 0 {
			tree.Merge(t)
		}
	}
	return faults, nil
}

// isData reports whether a file has a name as data files have.
func isData(file string) bool {
	name := strings.ToLower(file)
	for _, packed := range []string{".gz", ".zst"} {
		name = strings.TrimSuffix(name, packed)
	}
	return slices.Contains([]string{".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".parquet", ".arrow", ".feather", ".xlsx"}, filepath.Ext(name))
}

// settingsInFlags finds the keys of settings that flags set.
func settingsInFlags(tree structconf.Tree) structconf.Faults {
	var faults structconf.Faults
	for _, key := range slices.Sorted(maps.Keys(tree.Positions)) {
		at := tree.Positions[key]
		if section, _, _ := strings.Cut(key, "."); at.File == structconf.FromFlag && slices.Contains(settings.Sections(), section) {
			faults = append(faults, structconf.Fault{
				File:    at.File,
				Key:     key,
				Message: "is a setting, and --set changes the specification; write it into tunebus.toml, or set its TUNEBUS_ variable",
			})
		}
	}
	return faults
}

// assign puts assignments over a tree.
func assign(tree *structconf.Tree, sets []string) structconf.Faults {
	var faults structconf.Faults
	for _, s := range sets {
		if f := tree.Set(s); f != nil {
			f.Message += suggestion(s)
			faults = append(faults, *f)
		}
	}
	return faults
}

// suggestion names the keys that an assignment without a section may mean.
func suggestion(assignment string) string {
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
