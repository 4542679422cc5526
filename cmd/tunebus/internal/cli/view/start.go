package view

import (
	"bytes"
	"fmt"
	"io"
	"slices"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/redaction"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/shellquote"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// ready is where services that stay up can be reached.
type ready struct {
	URL       string `json:"url"`
	Data      string `json:"data"`
	Artifacts string `json:"artifacts"`
}

// Ready is printed as soon as services that stay up take requests.
func Ready(url, data, artifacts string) Result {
	return Result{ready{url, data, artifacts}, func(w io.Writer) {
		fmt.Fprintf(w, "ready: NATS at %s, data in %s, artifacts in %s\n", url, data, artifacts)
	}}
}

// Submitted is the id of a run that was asked for.
func Submitted(id string) Result {
	return Result{map[string]string{"run_id": id}, func(w io.Writer) { fmt.Fprintln(w, id) }}
}

// checkedSpecification is a specification with what was said about it, for scripts.
type checkedSpecification struct {
	events.Specification
	Notes    []string `json:"notes,omitempty"`
	Warnings []string `json:"warnings,omitempty"`
}

// Specification is a specification without faults, with the notes and warnings about it,
// which a person has read.
func Specification(s events.Specification, notes, warnings []string) Result {
	value := checkedSpecification{s, shown(notes), shown(warnings)}
	return Result{value, func(w io.Writer) { fmt.Fprintf(w, "no faults; %s\n", Count(len(spec.Plan(s)), "phase")) }}
}

// shown are sentences, each once, without what is secret in an address.
func shown(sentences []string) (out []string) {
	for _, sentence := range sentences {
		if sentence = redaction.Addresses(sentence); !slices.Contains(out, sentence) {
			out = append(out, sentence)
		}
	}
	return out
}

// specificationKey is a key of a specification, for scripts.
type specificationKey struct {
	structconf.Key
	// Engines say how the engines of the phase honour the key.
	Engines []spec.Support `json:"engines,omitempty"`
}

// Reference is the keys that a name means, each with its default, its meaning, and the
// engines that honour it. A name is "specification", "settings", a section, a key, or
// section.key.
func Reference(name string) (Result, error) {
	all := slices.Concat(spec.Keys(), structconf.Keys(settings.Settings{}))
	chosen := all[:len(spec.Keys())]
	remark := spec.Remark
	switch name {
	case "specification":
	case "settings":
		chosen, remark = all[len(spec.Keys()):], nil
	default:
		chosen = nil
		for _, k := range all {
			if name == k.Section || name == k.Name || name == k.Section+"."+k.Name {
				chosen = append(chosen, k)
			}
		}
	}
	if len(chosen) == 0 {
		return Result{}, exit.Input(fmt.Errorf("config doc %s: there is no such section or key; %s", name, nearestKey(name, all)))
	}
	keys := make([]specificationKey, len(chosen))
	for i, k := range chosen {
		keys[i] = specificationKey{k, spec.Supports(k.Section, k.Name)}
	}
	var text bytes.Buffer
	if err := structconf.ReferenceOf(&text, chosen, remark); err != nil {
		return Result{}, err
	}
	return Result{keys, func(w io.Writer) { _, _ = w.Write(text.Bytes()) }}, nil // to a person's screen
}

// nearestKey says which section or key was meant, or where all are listed.
func nearestKey(name string, all []structconf.Key) string {
	var names []string
	for _, k := range all {
		names = append(names, k.Section, k.Name, k.Section+"."+k.Name)
	}
	if nearest := structconf.Nearest(name, names); nearest != "" {
		return "did you mean " + nearest + "?"
	}
	return `"tunebus config doc" and "tunebus config doc settings" list them`
}

// NewSpecification is a file that a specification was written to.
func NewSpecification(file string) Result {
	return Result{map[string]string{"file": file}, func(w io.Writer) {
		check := terminal.Completed(w, `"tunebus config check `+shellquote.Word(file)+`"`)
		fmt.Fprintf(w, "%s has every key with its default; %s reports what is missing\n", file, check)
	}}
}
