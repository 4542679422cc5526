package finetune_test

import (
	"math"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/embedded/workertest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/finetune"
)

// TestEngineQuantises: load_in_4bit and load_in_8bit bring the base to fewer bits, so
// that its losses are near those of the base and not the same. They have no effect on a
// training of all weights.
func TestEngineQuantises(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first := map[string]float64{}
	for name, change := range map[string]func(f *events.FineTuner){
		"as stored":       func(*events.FineTuner) {},
		"4 bits":          func(f *events.FineTuner) { f.LoadIn4bit = true },
		"8 bits":          func(f *events.FineTuner) { f.LoadIn8bit = true },
		"all":             func(f *events.FineTuner) { f.FullFinetuning = true },
		"all, not 4 bits": func(f *events.FineTuner) { f.FullFinetuning, f.LoadIn4bit = true, true },
	} {
		c := h.Run(t, finetune.Engine{}, events.Finetune, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.FineTuner.MaxSteps = 1
			change(&s.FineTuner)
		})
		for _, n := range c.Notes {
			if strings.Contains(n, "load_in") && !strings.HasPrefix(name, "all") {
				t.Errorf("%s: %s", name, n)
			}
		}
		for _, p := range workertest.Lines[events.Point](t, h, c, events.ArtifactMetrics) {
			if p.Key == "loss" {
				first[name] = p.Value
			}
		}
	}
	plain := first["as stored"]
	for name, most := range map[string]float64{"4 bits": 0.1, "8 bits": 0.01} {
		if off := math.Abs(first[name]-plain) / plain; off == 0 || off > most {
			t.Errorf("%s: the loss %v is off by %.4f of that of the base, %v", name, first[name], off, plain)
		}
	}
	if first["all"] != first["all, not 4 bits"] {
		t.Errorf("all weights: %v, with load_in_4bit %v", first["all"], first["all, not 4 bits"])
	}
}
