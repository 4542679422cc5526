package settings

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/runconfig"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// FileName is the settings file that is read by default if it exists in the working
// folder.
const FileName = "tunebus.toml"

// Sections returns the top-level sections of settings, for readers of files that
// have a specification too.
func Sections() []string {
	var out []string
	for _, s := range structconf.Sections(Settings{}) {
		top, _, _ := strings.Cut(s, ".")
		if !slices.Contains(out, top) {
			out = append(out, top)
		}
	}
	return out
}

// Known returns the sections that a file may have: those of a specification, that
// beside it, and those of settings.
func Known() []string {
	return slices.Concat(spec.Sections(), []string{runconfig.Section}, Sections())
}

// Files returns the default settings files: the file that the variable
// [VariableFile] names, or else [FileName] if it exists.
func Files(environ []string) []string {
	for _, e := range environ {
		if f, ok := strings.CutPrefix(e, VariableFile+"="); ok && f != "" {
			return []string{f}
		}
	}
	if _, err := os.Stat(FileName); err != nil {
		return nil
	}
	return []string{FileName}
}

// Load reads the settings: the files, merged in order, then the variables of
// environ, each NAME=value. The error is [structconf.Faults] with all faults,
// unless a file can not be read.
func Load(files, environ []string) (Settings, error) {
	var s Settings
	structconf.SetDefaults(&s)
	tree, faults, err := readFiles(files)
	if err != nil {
		return s, err
	}
	faults = append(faults, setVariables(&tree, environ)...)
	faults = append(faults, structconf.Decode(&s, tree)...)
	faults = tree.Locate(faults, append(readSecretFiles(&s), check(s)...))
	if len(faults) > 0 {
		return s, faults
	}
	return s, nil
}

// OnlySpecification returns those of the files that have nothing but sections of a
// specification, so that the settings take nothing from them. A file that cannot be read is
// none of them.
func OnlySpecification(files []string) (without []string) {
	for _, file := range files {
		body, err := structconf.ReadFile(file)
		if err != nil {
			continue
		}
		tree, faults := structconf.ParseTOML(file, body)
		theirs := append(spec.Sections(), runconfig.Section)
		ours := func(section string) bool { return !slices.Contains(theirs, section) }
		if len(faults) == 0 && len(tree.Sections) > 0 && !slices.ContainsFunc(slices.Collect(maps.Keys(tree.Sections)), ours) {
			without = append(without, file)
		}
	}
	return without
}

// readFiles reads and merges the files. It omits the sections of a specification,
// which a file may have too.
func readFiles(files []string) (structconf.Tree, structconf.Faults, error) {
	tree := structconf.Tree{Sections: map[string]any{}, Positions: map[string]structconf.Position{}}
	var faults structconf.Faults
	for _, file := range files {
		body, err := structconf.ReadFile(file)
		if err != nil {
			return tree, nil, fmt.Errorf("read settings: %w", err)
		}
		t, f := structconf.ParseTOML(file, body)
		faults = append(faults, f...)
		if len(f) > 0 {
			continue
		}
		faults = append(faults, t.Unknown(Known())...)
		for _, section := range append(spec.Sections(), runconfig.Section) {
			delete(t.Sections, section)
		}
		liftServices(t)
		tree.Merge(t)
	}
	return tree, faults, nil
}

// liftServices makes each table in the section services a section, such as
// services.intake, and each table in those, such as services.finetune.stall.
func liftServices(t structconf.Tree) { liftTables(t, "services") }

func liftTables(t structconf.Tree, section string) {
	table, _ := t.Sections[section].(map[string]any)
	for name, v := range table {
		if inner, ok := v.(map[string]any); ok {
			t.Sections[section+"."+name] = inner
			delete(table, name)
			liftTables(t, section+"."+name)
		}
	}
}
