package view

import (
	"bytes"
	"fmt"
	"io"

	"github.com/tunebus/tunebus/events"
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

// Specification is a specification without faults.
func Specification(s events.Specification) Result {
	return Result{s, func(w io.Writer) { fmt.Fprintf(w, "no faults; %s\n", Count(len(spec.Plan(s)), "phase")) }}
}

// specificationKey is a key of a specification, for scripts.
type specificationKey struct {
	structconf.Key
	// Engines say how the engines of the phase honour the key.
	Engines []spec.Support `json:"engines,omitempty"`
}

// SpecificationReference is every key of a specification, with its default, its
// meaning and the engines that honour it.
func SpecificationReference() (Result, error) {
	keys := []specificationKey{}
	for _, k := range spec.Keys() {
		keys = append(keys, specificationKey{k, spec.Supports(k.Section, k.Name)})
	}
	return reference(keys, events.Specification{}, spec.Remark)
}

// SettingsReference is every key of the settings, with its default and its meaning.
func SettingsReference() (Result, error) {
	return reference(structconf.Keys(settings.Settings{}), settings.Settings{}, nil)
}

func reference(keys, sections any, remark func(structconf.Key) string) (Result, error) {
	var text bytes.Buffer
	if err := structconf.Reference(&text, sections, remark); err != nil {
		return Result{}, err
	}
	return Result{keys, func(w io.Writer) { _, _ = w.Write(text.Bytes()) }}, nil // to a person's screen
}

// NewSpecification is a file that a specification was written to.
func NewSpecification(file string) Result {
	return Result{map[string]string{"file": file}, func(w io.Writer) {
		fmt.Fprintf(w, "%s has every key with its default; \"tunebus config check %s\" reports what is missing\n", file, shellquote.Word(file))
	}}
}
