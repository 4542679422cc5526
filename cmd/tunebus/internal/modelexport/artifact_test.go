package modelexport

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
)

// TestFindArtifact: a name that several phases have means none of them.
func TestFindArtifact(t *testing.T) {
	t.Parallel()
	run := events.Run{ID: "r", Phases: map[events.Phase]*events.PhaseState{
		events.Finetune:   {Completed: &events.PhaseCompleted{Artifacts: []events.Artifact{{Name: "model"}, {Name: "metrics"}}}},
		events.Inference:  {},
		events.Evaluation: {Completed: &events.PhaseCompleted{Artifacts: []events.Artifact{{Name: "metrics", Reference: events.Reference{Key: "theirs"}}}}},
	}}
	for name, want := range map[string]string{
		"model":              "",
		"evaluation/metrics": "",
		"metrics":            "name one of finetune/metrics, evaluation/metrics",
		"wandb":              "it has model, finetune/metrics, evaluation/metrics",
	} {
		a, err := FindArtifact(run, name)
		if want == "" && (err != nil || !strings.HasSuffix(name, a.Name)) || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %+v, %v; want %q", name, a, err, want)
		}
	}
	if a, err := FindArtifact(run, "evaluation/metrics"); err != nil || a.Reference.Key != "theirs" {
		t.Errorf("%+v, %v", a, err)
	}
}
