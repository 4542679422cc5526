package workertest_test

import (
	"context"
	"testing"

	"github.com/tunebus/tunebus/embedded/workertest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// TestEngineOfAnotherName: the harness runs an engine that is not the built-in
// one, and its facts have the engine's name.
func TestEngineOfAnotherName(t *testing.T) {
	t.Parallel()
	h := workertest.New(t)
	h.Engine = "openai"
	answer := engine.Func(func(_ context.Context, job *engine.Job) (engine.Result, error) {
		return engine.Result{Notes: []string{"queue " + job.Request.Queue}}, nil
	})
	c := h.Run(t, answer, events.Inference, events.Inputs{}, func(*events.Specification) {})
	if c.Conclusion != events.Success || len(c.Notes) != 1 || c.Notes[0] != "queue openai" {
		t.Errorf("it completed as %+v", c)
	}
}
