package schedule

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// golden is what testdata/tuning.py of package llm writes of schedules.
type golden struct {
	Schedules []struct {
		Name      string
		Arguments map[string]any
		Warmup    int
		Rates     []float64
	}
	Plateaus []struct {
		Arguments     map[string]any
		Losses, Rates []float64
	}
}

func read(t *testing.T) (g golden) {
	t.Helper()
	body, err := os.ReadFile("../../testdata/tuning/golden.json")
	if err == nil {
		err = json.Unmarshal(body, &g)
	}
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// TestSchedules compares the learning rate of each step with that of transformers.
func TestSchedules(t *testing.T) {
	t.Parallel()
	seen := []string{plateauName}
	for _, c := range read(t).Schedules {
		seen = append(seen, c.Name)
		s, err := New(c.Name, c.Arguments, Span{Rate: 2e-3, Warmup: c.Warmup, Steps: 20})
		if err != nil {
			t.Errorf("%s %v: %v", c.Name, c.Arguments, err)
			continue
		}
		for step, want := range c.Rates {
			if got := s.Rate(int64(step)); math.Abs(got-want) > 1e-12 {
				t.Errorf("%s %v with %d steps of warm-up: step %d has %g, transformers %g", c.Name, c.Arguments, c.Warmup, step, got, want)
			}
		}
	}
	for _, name := range Names() {
		if !slices.Contains(seen, name) {
			t.Errorf("%s has no golden", name)
		}
	}
}

// TestPlateau compares with torch, with a state that is taken to another schedule
// behind each validation.
func TestPlateau(t *testing.T) {
	t.Parallel()
	for _, c := range read(t).Plateaus {
		var state State
		for i, loss := range c.Losses {
			s, err := New(plateauName, c.Arguments, Span{Rate: 2e-3, Steps: 20})
			if err != nil {
				t.Fatal(err)
			}
			s.Restore(state)
			s.Validated(loss)
			if got := s.Rate(int64(i)); math.Abs(got-c.Rates[i]) > 1e-12 {
				t.Errorf("%v: %g behind validation %d, torch's %g", c.Arguments, got, i+1, c.Rates[i])
			}
			state = s.State()
		}
	}
}

// TestFaults names what is not there, and what is.
func TestFaults(t *testing.T) {
	t.Parallel()
	for says, c := range map[string]struct {
		name  string
		given map[string]any
	}{
		"there is no schedule \"greedy\"; there are linear, ": {"greedy", nil},
		"no argument min_lr":           {"linear", map[string]any{"min_lr": 1.0}},
		"there are num_cycles":         {"cosine", map[string]any{"cycles": 1.0}},
		"num_cycles = two is no":       {"cosine", map[string]any{"num_cycles": "two"}},
		"either min_lr or min_lr_rate": {"cosine_with_min_lr", map[string]any{"min_lr": 1e-5, "min_lr_rate": 0.1}},
		"num_decay_steps has to be":    {"warmup_stable_decay", nil},
		"decay_type = round is none":   {"warmup_stable_decay", map[string]any{"num_decay_steps": int64(3), "decay_type": "round"}},
		"must be below the learning":   {"polynomial", map[string]any{"lr_end": 1.0}},
		"timescale = 0 must be":        {"inverse_sqrt", map[string]any{"timescale": int64(0)}},
		"factor = 1 must be":           {plateauName, map[string]any{"factor": int64(1)}},
	} {
		if _, err := New(c.name, c.given, Span{Rate: 1e-3, Steps: 10}); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s %v: %v, want %q", c.name, c.given, err, says)
		}
	}
}
