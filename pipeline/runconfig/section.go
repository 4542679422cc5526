package runconfig

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Section is the name of the section beside the specification.
const Section = "run"

// The files of answers, as [Run.Files], flags and inputs name them.
const (
	Predictions = "predictions"
	Baseline    = "baseline_predictions"
)

const labelsKey = "labels"

// Run is the section run.
type Run struct {
	// Labels are the labels of the run; nil without any.
	Labels map[string]string
	// Files are the files of answers, by [Predictions] and [Baseline]. A relative
	// path starts in the folder of the file that names it.
	Files map[string]string
}

// Take takes the section run out of a tree and reads it. Its texts are taken as
// they are: neither "null" nor "${" means anything in them.
func Take(t structconf.Tree) (Run, structconf.Faults) {
	value, ok := t.Sections[Section]
	if !ok {
		return Run{}, nil
	}
	delete(t.Sections, Section)
	r := sectionReader{tree: t, run: Run{Files: map[string]string{}}}
	table, ok := value.(map[string]any)
	if !ok {
		r.fault(Section, "is a section, not a value")
	}
	for _, key := range slices.Sorted(maps.Keys(table)) { // a table before its entries
		r.read(key, table[key])
	}
	return r.run, r.faults
}

// sectionReader reads the keys of a section.
type sectionReader struct {
	tree   structconf.Tree
	run    Run
	faults structconf.Faults
}

func (r *sectionReader) fault(key, message string) {
	r.faults = append(r.faults, r.tree.Locate(nil, structconf.Faults{{Key: key, Message: message}})...)
}

func (r *sectionReader) read(key string, value any) {
	label, isLabel := strings.CutPrefix(key, labelsKey+".") // as --set names it
	switch {
	case key == Predictions || key == Baseline:
		path, ok := value.(string)
		if !ok || path == "" {
			r.fault(Section+"."+key, "want the path of a file")
			return
		}
		r.run.Files[key] = path
	case key == labelsKey:
		labels, ok := value.(map[string]any)
		if !ok {
			r.fault(Section+"."+key, `want a table of texts, such as {team = "harbour"}`)
			return
		}
		for _, name := range slices.Sorted(maps.Keys(labels)) {
			r.label(name, labels[name])
		}
	case isLabel:
		r.label(label, value)
	default:
		names := []string{labelsKey, Predictions, Baseline}
		message := "unknown key"
		if near := structconf.Nearest(key, names); near != "" {
			message += fmt.Sprintf("; did you mean %q?", near)
		}
		r.fault(Section+"."+key, message)
	}
}

// label adds a label. A number or a boolean is the text that a person wrote.
func (r *sectionReader) label(name string, value any) {
	switch value.(type) {
	case string, bool, int64, float64:
	default:
		r.fault(Section+"."+labelsKey+"."+name, "want a text")
		return
	}
	if name == "" {
		r.fault(Section+"."+labelsKey, "a label needs a name")
		return
	}
	if r.run.Labels == nil {
		r.run.Labels = map[string]string{}
	}
	r.run.Labels[name] = fmt.Sprint(value)
}
