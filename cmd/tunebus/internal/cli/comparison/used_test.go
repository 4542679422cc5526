package comparison

import (
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
