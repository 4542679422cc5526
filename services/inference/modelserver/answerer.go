package modelserver

import (
	"fmt"

	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/modelapi"
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
		if modelapi.SameModel(name, answered) {
			return true
		}
	}
	return false
}
