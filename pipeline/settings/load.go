package settings

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// FileName is the file that is read where none is named and this one is in
// the working folder.
const FileName = "tunebus.toml"

// Sections lists the top level of a file's sections, for whoever reads files
// that hold a specification too.
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

// Known lists the sections that a file may have: those of a specification and
// those of settings.
func Known() []string { return append(spec.Sections(), Sections()...) }

// Files are the files to read where nobody names any: the one that the
// variable [VariableFile] names, else [FileName] if it is there.
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
// environ, each NAME=value. The error is [structconf.Faults], all at once, unless
// a file cannot be read.
func Load(files, environ []string) (Settings, error) {
	var s Settings
	structconf.SetDefaults(&s)
	tree, faults, err := read(files)
	if err != nil {
		return s, err
	}
	faults = append(faults, variables(&tree, environ)...)
	faults = append(faults, structconf.Decode(&s, tree)...)
	faults = tree.Place(faults, append(secrets(&s), check(s)...))
	if len(faults) > 0 {
		return s, faults
	}
	return s, nil
}

// read merges the files. Sections of a specification are left out: a file
// may hold both.
func read(files []string) (structconf.Tree, structconf.Faults, error) {
	tree := structconf.Tree{Sections: map[string]any{}, At: map[string]structconf.Position{}}
	var faults structconf.Faults
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			return tree, nil, fmt.Errorf("read settings: %w", err)
		}
		t, f := structconf.ParseTOML(file, body)
		faults = append(faults, f...)
		if len(f) > 0 {
			continue
		}
		faults = append(faults, t.Unknown(Known())...)
		for _, section := range spec.Sections() {
			delete(t.Sections, section)
		}
		nest(t)
		tree.Merge(t)
	}
	return tree, faults, nil
}

// nest makes the tables in services sections of their own, such as
// services.intake.
func nest(t structconf.Tree) {
	services, _ := t.Sections["services"].(map[string]any)
	for name, v := range services {
		if table, ok := v.(map[string]any); ok {
			t.Sections["services."+name] = table
			delete(services, name)
		}
	}
}

// prefix is what the name of each of our own variables begins with.
const prefix = "TUNEBUS_"

// VariableFile names the variable that names the settings' file.
const VariableFile = prefix + "SETTINGS"

// Variables lists the names of all variables that [Load] reads.
func Variables() []string {
	out := []string{VariableFile}
	for _, k := range structconf.Keys(Settings{}) {
		out = append(out, variable(k))
		if k.Env != "" {
			out = append(out, k.Env)
		}
	}
	return out
}

func variable(k structconf.Key) string {
	return prefix + strings.ToUpper(strings.ReplaceAll(k.Section, ".", "_")+"_"+k.Name)
}

// variables puts what the environment says over the files. A variable of
// ours that nobody reads is a fault: most likely it is misspelled.
func variables(t *structconf.Tree, environ []string) structconf.Faults {
	own, usual := map[string]structconf.Key{}, map[string]structconf.Key{}
	for _, k := range structconf.Keys(Settings{}) {
		own[variable(k)] = k
		if k.Env != "" {
			usual[k.Env] = k
		}
	}
	set := func(k structconf.Key, name, value string) {
		table, _ := t.Sections[k.Section].(map[string]any)
		if table == nil {
			table = map[string]any{}
			t.Sections[k.Section] = table
		}
		table[k.Name] = value
		t.At[k.Section+"."+k.Name] = structconf.Position{File: "$" + name}
	}
	var faults structconf.Faults
	environ = slices.Sorted(slices.Values(environ))
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		if k, ok := usual[name]; ok && value != "" {
			set(k, name, value)
		}
	}
	for _, e := range environ {
		name, value, _ := strings.Cut(e, "=")
		k, ok := own[name]
		switch {
		case ok:
			set(k, name, value)
		case strings.HasPrefix(name, prefix) && name != VariableFile:
			faults = append(faults, structconf.Fault{Key: name, Message: "no such variable" + hint(name)})
		}
	}
	return faults
}

func hint(name string) string {
	if n := structconf.Nearest(name, Variables()); n != "" {
		return fmt.Sprintf("; did you mean %s?", n)
	}
	return ""
}
