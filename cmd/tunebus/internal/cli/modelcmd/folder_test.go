package modelcmd_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm"
	"github.com/tunebus/tunebus/llm/token"
	"github.com/tunebus/tunebus/pipeline/artifact/manifest"
	"github.com/tunebus/tunebus/pipeline/artifact/transfer"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// tuned is a run in a data folder that tuned a model.
type tuned struct {
	id   string
	base string // as the specification names it
	// upload stores the folder of the quickstart's base model as the run's base
	// model.
	upload bool
	// inPlace has the run refer to the folder where it lies, which need not exist.
	inPlace bool
	// full is set if the run trained all weights.
	full bool
	// sees is set if the run says that its model sees.
	sees bool
	// prompt is the most tokens that a model is asked with; 0: no limit.
	prompt int
}

// quickBase is the folder of the quickstart's base model.
func quickBase() string { return filepath.Join(clitest.Root(), "configs", "quickstart", "base-model") }

// makeModel writes what fine-tuning stores: an adapter for the quickstart's
// base model, which it calls base, or the whole model.
func makeModel(t *testing.T, full bool, base string) string {
	t.Helper()
	dir := t.TempDir()
	m, err := llm.Open(quickBase())
	if err != nil {
		t.Fatal(err)
	}
	if full {
		err = m.Save(dir, "float32")
	} else {
		if err := m.AttachLoRA(llm.LoRAConfig{Rank: 4, Alpha: 8}); err != nil {
			t.Fatal(err)
		}
		err = m.SaveAdapter(dir, base)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := token.CopyFiles(quickBase(), dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// folder makes a data folder with runs.
func folder(t *testing.T, runs ...tuned) *clitest.DataFolder {
	t.Helper()
	f := clitest.NewDataFolder(t)
	files := transfer.New(f.Store)
	var facts []events.Event
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, r := range runs {
		in := events.Inputs{Files: map[string]events.Reference{}}
		if r.upload {
			ref, err := files.PutDir(t.Context(), "uploads/"+r.id+"/base.tar", quickBase())
			if err != nil {
				t.Fatal(err)
			}
			in.Files["fine_tuner.base_model_id"] = ref
		}
		if r.inPlace {
			in.Files["fine_tuner.base_model_id"] = events.Reference{
				Store: "local:here", Key: r.base, MediaType: manifest.MediaType, SHA256: strings.Repeat("a", 64), Size: 1,
			}
		}
		ref, err := files.PutDir(t.Context(), "runs/"+r.id+"/finetune/1/model.tar", makeModel(t, r.full, r.base))
		if err != nil {
			t.Fatal(err)
		}
		log, err := files.PutFile(t.Context(), "runs/"+r.id+"/finetune/1/trainer.log", "text/plain", filepath.Join(quickBase(), "config.json"))
		if err != nil {
			t.Fatal(err)
		}
		curves, err := files.PutDir(t.Context(), "runs/"+r.id+"/finetune/1/wandb.tar", quickBase())
		if err != nil {
			t.Fatal(err)
		}
		plan := []events.Step{{Phase: events.Finetune, Queue: "builtin"}}
		facts = append(facts,
			events.PipelineAccepted{RunID: r.id, RunName: "name-of-" + r.id, RequestedAt: at, Plan: plan, Inputs: in, Specification: events.Specification{
				FineTuner:  events.FineTuner{BaseModelID: r.base, Rank: 4, LoRAAlpha: 8, FullFinetuning: r.full, TrainingDataID: "owner/rows", Engine: "trl", IsMultimodel: r.sees},
				Inferencer: events.Inferencer{MaxSequenceLength: r.prompt},
				Pipeline:   events.Pipeline{EnableFinetuning: true},
			}},
			events.PhaseRequested{RunID: r.id, Phase: events.Finetune, Queue: "builtin", Plan: plan},
			events.PhaseStarted{RunID: r.id, Phase: events.Finetune, Attempt: 1, Worker: "w"},
			events.PhaseCompleted{RunID: r.id, Phase: events.Finetune, Attempt: 1, Conclusion: events.Success, StartedAt: at, EndedAt: at.Add(time.Minute),
				Artifacts: []events.Artifact{{Name: events.ArtifactModel, Reference: ref}, {Name: "trainer.log", Reference: log}, {Name: "wandb", Reference: curves}}},
			events.PipelineCompleted{RunID: r.id, Conclusion: events.Success, StartedAt: at, EndedAt: at.Add(time.Minute), DurationSeconds: 60})
	}
	f.WithServer(t, func(b *conn.Conn) { clitest.Publish(t, b, facts...) })
	return f
}
