package modelserver

import (
	"fmt"
	"path"
	"regexp"
	"strings"

	"github.com/tunebus/tunebus/pipeline/engine"
)

// checkModel returns the error of an answer that another model gave than the one that was
// asked for, as the server says.
func (c *caller) checkModel(asked, answered string) error {
	if c.server.answersAs(asked, answered) {
		return nil
	}
	what := fmt.Sprintf("%q", answered)
	for _, m := range c.server.models {
		if m.ID == answered && m.Parent == "" {
			what = fmt.Sprintf("%q, which is a base model there,", answered)
		}
	}
	return engine.Permanent(codeWrongModel, fmt.Errorf("the model server at %s (services.inference.endpoint) was asked for the model %q, and says that %s answered; "+
		"what to do: start it with the model of the run, or name in inferencer.model_id or services.inference.served_model the one that should answer, as the server calls it",
		c.client.Name, c.client.Hide(asked), what))
}

// version is what servers put behind the name of a model that they have in several.
var version = regexp.MustCompile(`^[-@:](latest|v?\d{3,}|v?\d{4}-\d{2}-\d{2}|\d{2}-\d{2}|\d{2}-\d{4})$`)

// answersAs reports whether a name in an answer means the model that was asked for. A
// server that says nothing is believed, and llama.cpp has one model, whatever its name is.
func (s server) answersAs(asked, answered string) bool {
	if answered == "" || s.kind == llamaCPP {
		return true
	}
	names := []string{asked}
	for _, m := range s.models {
		if m.ID == asked && m.Root != "" && m.Parent == "" {
			names = append(names, m.Root)
		}
	}
	for _, name := range names {
		if sameModel(name, answered) {
			return true
		}
	}
	return false
}

// sameModel compares two names of a model: one may have no owner or folder, or a version
// that the other one leaves out.
func sameModel(a, b string) bool {
	a, b = strings.ToLower(strings.TrimRight(a, "/")), strings.ToLower(strings.TrimRight(b, "/"))
	if !strings.Contains(a, "/") || !strings.Contains(b, "/") {
		a, b = path.Base(a), path.Base(b)
	}
	if len(a) > len(b) {
		a, b = b, a
	}
	rest, ok := strings.CutPrefix(b, strings.TrimSuffix(strings.TrimSuffix(a, "-latest"), ":latest"))
	return a == b || ok && (rest == "" || version.MatchString(rest))
}
