package comparison

import (
	"slices"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// TestWhatWasUsedIsCompared: a key that had no effect is compared by what was used in its
// place, and two runs that used the same do not differ.
func TestWhatWasUsedIsCompared(t *testing.T) {
	t.Parallel()
	run := func(rank int, used map[string]string) events.Run {
		s := spec.Defaults()
		s.FineTuner.Rank = rank
		r := events.Fold([]events.Fact{events.PipelineAccepted{RunID: "r", Specification: s}})
		r.Phases = map[events.Phase]*events.PhaseState{events.Finetune: {Completed: &events.PhaseCompleted{Used: used}}}
		return r
	}
	further := run(8, map[string]string{"fine_tuner.rank": "32"})
	for name, c := range map[string]struct {
		other events.Run
		want  string // of the second run; empty: they do not differ
	}{
		"one that asked for what was used": {run(32, nil), ""},
		"one that asked for the same":      {run(8, nil), "8"},
		"one that used another":            {run(8, map[string]string{"fine_tuner.rank": "4"}), "4 (asked for 8)"},
	} {
		got, err := specification(further, c.other)
		if err != nil {
			t.Fatal(err)
		}
		if c.want == "" && len(got) == 0 {
			continue
		}
		if len(got) != 1 || got[0] != (Difference{"fine_tuner.rank", "32 (asked for 8)", c.want}) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// TestDefaultsAreCompared: a key that an event leaves out has its default, and not nothing.
func TestDefaultsAreCompared(t *testing.T) {
	t.Parallel()
	run := func(change func(*events.FineTuner)) events.Run {
		s := spec.Defaults()
		change(&s.FineTuner)
		return events.Fold([]events.Fact{events.PipelineAccepted{RunID: "r", Specification: s}})
	}
	usual := run(func(*events.FineTuner) {})
	other := run(func(f *events.FineTuner) { f.UseDoRA, f.LoadIn8bit, f.MaxSteps, f.OptimArgs = true, true, 7, "eps=1" })
	got, err := specification(usual, other)
	want := []Difference{
		{"fine_tuner.load_in_8bit", "false", "true"}, {"fine_tuner.max_steps", "0", "7"}, {"fine_tuner.optim_args", "", `"eps=1"`}, {"fine_tuner.use_dora", "false", "true"},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %+v", err, got)
	}
	back, err := specification(other, usual)
	if err != nil || len(back) != len(want) || back[3] != (Difference{"fine_tuner.use_dora", "true", "false"}) {
		t.Errorf("%v, %+v", err, back)
	}
}
