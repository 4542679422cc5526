package trainer_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/finetune/trainer"
)

// TestDevicesOfASlot: a job gets the smallest slot that has enough devices, and one that
// asks for more than any slot has is refused before its trainer starts.
func TestDevicesOfASlot(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	slots := []string{"4,5", "0", "1,2,3"}
	for _, c := range []struct {
		devices int
		want    string
	}{{1, "0"}, {2, "4,5"}, {3, "1,2,3"}, {2, "4,5"}} {
		seen := filepath.Join(t.TempDir(), "seen")
		e := trainer.New(trainer.Config{
			Name: "command", Command: script(t, "testdata/rude.py"), Environ: os.Environ(), Environment: []string{"RUDE=look", "LOOK=" + seen, "KEYS=devices"}, Devices: slots,
		})
		done := h.Run(t, e, events.Finetune, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.FineTuner.Devices = c.devices
		})
		body, err := os.ReadFile(seen)
		if err != nil || !strings.Contains(string(body), `"devices": "`+c.want+`"`) {
			t.Errorf("%d devices: it completed as %s, %+v, %v, with the job\n%s", c.devices, done.Conclusion, done.Error, err, body)
		}
	}
	e := trainer.New(trainer.Config{Name: "command", Command: []string{"/no/such/program"}, Devices: slots})
	done := h.Run(t, e, events.Finetune, events.Inputs{}, func(s *events.Specification) {
		small(s)
		s.FineTuner.Devices = 4
	})
	const want = "fine_tuner.devices = 4, and a slot of this worker has 3 at most"
	if done.Error == nil || done.Error.Code != "bad_key" || !strings.HasPrefix(done.Error.Message, want) {
		t.Errorf("it completed as %s with %+v, want %q", done.Conclusion, done.Error, want)
	}
}

// TestSecretsOfTheWorker: what a trainer says in its log, its notes and its error has no
// secrets of the worker and of the settings, and a note has one line.
func TestSecretsOfTheWorker(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	run := func(rude string) events.PhaseCompleted {
		e := trainer.New(trainer.Config{
			Name: "command", Command: script(t, "testdata/rude.py"), Environ: append(os.Environ(), "HF_TOKEN=hf_0123456789", "OPENAI_API_KEY=sk-0123456789"),
			Environment: []string{"RUDE=" + rude, "HF_TOKEN", "MY_SECRET=of the settings", "TELLS=hf_0123456789\nsk-0123456789 of the settings"},
		})
		return h.Run(t, e, events.Finetune, events.Inputs{}, small)
	}
	done := run("tells")
	const said = "wandb is offline [hidden]\n[hidden] [hidden]"
	if want := said + "; its last lines:\n" + said; done.Error == nil || done.Error.Message != want {
		t.Errorf("it completed with %+v, want %q", done.Error, want)
	}
	done = run("notes")
	if want := "note 0[hidden] [hidden] [hidden]"; !slices.Contains(done.Notes, want) {
		t.Errorf("notes %q, want %q", done.Notes, want)
	}
}

// TestSecretsInFiles: a file that a trainer writes with a secret of the worker in it is not
// stored, and a model with one is none.
func TestSecretsInFiles(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	run := func(rude string) events.PhaseCompleted {
		e := trainer.New(trainer.Config{
			Name: "command", Command: script(t, "testdata/rude.py"), Environ: append(os.Environ(), "HF_TOKEN=hf_0123456789"),
			Environment: []string{"RUDE=" + rude, "TELLS=hf_0123456789"},
		})
		return h.Run(t, e, events.Finetune, events.Inputs{}, small)
	}
	done := run("leaks")
	_, told := done.Artifact("told")
	_, clean := done.Artifact("clean")
	if told || !clean || done.Conclusion != events.Success {
		t.Errorf("it completed as %s, %+v, with %+v", done.Conclusion, done.Error, done.Artifacts)
	}
	if notes := strings.Join(done.Notes, "\n"); !strings.Contains(notes, `the artifact "told" of the trainer is not stored: its file told holds a secret of the worker`) {
		t.Errorf("notes %s", notes)
	}
	done = run("leaks-model")
	if done.Error == nil || done.Error.Code != "bad_result" || !strings.Contains(done.Error.Message, "its file model/README.md holds a secret of the worker") {
		t.Errorf("it completed as %s with %+v", done.Conclusion, done.Error)
	}
}

// TestWandbKey: a trainer gets the key of the worker if its job reports to Weights & Biases,
// and the key is nowhere in what the run keeps.
func TestWandbKey(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	const key = "0123456789abcdef-of-wandb"
	for _, c := range []struct{ reports, want string }{
		{"wandb", "online [hidden]"},
		{"all", "online [hidden]"},
		{"mlflow", "offline"},
	} {
		e := trainer.New(trainer.Config{
			Name: "command", Command: script(t, "testdata/rude.py"), Environ: append(os.Environ(), "WANDB_API_KEY=of the worker's environment"),
			Environment: []string{"RUDE=tells"}, WandbKey: key,
		})
		done := h.Run(t, e, events.Finetune, events.Inputs{}, func(s *events.Specification) {
			small(s)
			s.FineTuner.ReportTo = c.reports
		})
		if done.Error == nil || !strings.HasPrefix(done.Error.Message, "wandb is "+c.want+"; its last lines:\nwandb is "+c.want) {
			t.Errorf("report_to = %q: it completed as %s with %+v", c.reports, done.Conclusion, done.Error)
		}
	}
}
