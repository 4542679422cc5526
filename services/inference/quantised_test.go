package inference_test

import (
	"slices"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/inference"
)

// TestEngineQuantises: load_in_4bit and load_in_8bit bring the weights to fewer bits, so
// that other answers are drawn.
func TestEngineQuantises(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	drawn := map[string][]string{}
	for name, change := range map[string]func(*events.Inferencer){
		"as stored": func(*events.Inferencer) {},
		"4 bits":    func(i *events.Inferencer) { i.LoadIn4bit = true },
		"8 bits":    func(i *events.Inferencer) { i.LoadIn8bit = true },
	} {
		c := h.Run(t, inference.Engine{}, events.Inference, events.Inputs{}, func(s *events.Specification) {
			small(s)
			i := &s.Inferencer
			i.Temperature, i.TopK, i.TopP, i.MinP, i.MaxNewTokens, i.Seed = 3, 0, 1, 0, 100, 1
			change(i)
		})
		drawn[name] = answers(t, h, c, events.ArtifactPredictions)
	}
	if len(drawn["4 bits"]) != 3 || slices.Equal(drawn["4 bits"], drawn["as stored"]) || slices.Equal(drawn["8 bits"], drawn["as stored"]) {
		t.Errorf("drew %q", drawn)
	}
}
