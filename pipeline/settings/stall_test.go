package settings_test

import (
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/progress"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// TestStall: each phase has a table of limits for its own stages, which a file
// and variables change.
func TestStall(t *testing.T) {
	t.Parallel()
	body := `
[services.finetune]
slots = 2
[services.finetune.stall]
train = "1h"
first_step = "0s"
load = 0
upload = "1s"
[services.evaluation.stall]
score = "2m"
`
	s, err := settings.Load(file(t, body), []string{"TUNEBUS_SERVICES_FINETUNE_STALL_FETCH=3m", "TUNEBUS_SERVICES_INFERENCE_STALL_GENERATE=5s",
		"TUNEBUS_SERVICES_INFERENCE_STALL_UPLOAD=0"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Finetune.Slots != 2 {
		t.Errorf("%d slots", s.Finetune.Slots)
	}
	const m = time.Minute
	for p, want := range map[events.Phase]progress.Limits{
		events.Finetune: {
			progress.Fetch: 3 * m, progress.Load: 0, progress.Tokenise: 10 * m, progress.FirstStep: 0,
			progress.Train: time.Hour, progress.Save: 15 * m, progress.Upload: time.Second,
		},
		events.Inference: {
			progress.Fetch: 10 * m, progress.Load: 15 * m, progress.Tokenise: 10 * m, progress.FirstStep: 30 * m,
			progress.Generate: 5 * time.Second, progress.Save: 15 * m, progress.Upload: 0,
		},
		events.Evaluation: {progress.Fetch: 10 * m, progress.Score: 2 * m, progress.Save: 15 * m, progress.Upload: 10 * m},
	} {
		if got := s.Stall(p); !maps.Equal(got, want) {
			t.Errorf("%s: %v, want %v", p, got, want)
		}
	}
}

// TestStallFaults: limits below 0 and stages that a phase does not have are
// faults, with their places.
func TestStallFaults(t *testing.T) {
	t.Parallel()
	body := `[services.inference.stall]
generate = "-1s"
train = "1h"
save = 15
[services.finetune.stal]
train = "1h"
`
	_, err := settings.Load(file(t, body), []string{"TUNEBUS_SERVICES_EVALUATION_STALL_TRAIN=1h"})
	faults, ok := errors.AsType[structconf.Faults](err)
	if !ok {
		t.Fatalf("want faults, got %v", err)
	}
	text := faults.Error()
	for _, want := range []string{
		`:2:1: services.inference.stall.generate = "-1s": want a duration that is not negative`, ":3:1: services.inference.stall.train: unknown key", "services.inference.stall.save",
		"services.finetune.stal", "TUNEBUS_SERVICES_EVALUATION_STALL_TRAIN",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
}

// TestStallTooSmall: a limit below a second would end work that goes on.
func TestStallTooSmall(t *testing.T) {
	t.Parallel()
	body := `[services.finetune.stall]
train = "999ms"
[services.evaluation.stall]
score = "1ns"
save = 0.0
`
	_, err := settings.Load(file(t, body), []string{"TUNEBUS_SERVICES_INFERENCE_STALL_LOAD=10ms"})
	faults, _ := errors.AsType[structconf.Faults](err)
	if len(faults) != 3 {
		t.Fatalf("want three faults, got %v", err)
	}
	for _, want := range []string{
		":2:1: services.finetune.stall.train = 999ms: too small (allowed: 1s or more; 0 is no limit)",
		":4:1: services.evaluation.stall.score = 1ns: too small", "$TUNEBUS_SERVICES_INFERENCE_STALL_LOAD",
	} {
		if !strings.Contains(faults.Error(), want) {
			t.Errorf("no %q in:\n%s", want, faults)
		}
	}
}
