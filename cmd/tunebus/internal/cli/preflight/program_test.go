package preflight

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child/supervisor"
	"github.com/tunebus/tunebus/pipeline/settings"
)

func TestMain(m *testing.M) {
	supervisor.Main() // for the programs that are asked what they are
	goleak.VerifyTestMain(m)
}

// TestBrokenProgram: a run whose program cannot say what it is cannot start. A program that
// takes long to say it is no reason to refuse a run.
func TestBrokenProgram(t *testing.T) {
	t.Parallel()
	// Go alone is enough for the other tests; CI has a Python, and runs this one.
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("there is no python3; make test-trainer wants one")
	}
	const trains = `print('{"protocol": 1, "name": "mine", "version": "1", "rows": "tokens"}')`
	for name, c := range map[string]struct {
		phase     events.Phase
		command   []string
		patience  time.Duration
		says, way string // none: the run may start
	}{
		"no such file": {
			events.Finetune, []string{"python3", "/none.py"}, time.Minute,
			"services.finetune.command: python3 --describe: it ended with status 2, want 0", `"tunebus engine check" checks the command`,
		},
		"packages are missing": {
			events.Finetune, []string{"python3", "-I", "-c", "import sys; sys.exit('this Python lacks the package torch')"}, time.Minute,
			"this Python lacks the package torch", `"tunebus engine check" checks the command`,
		},
		"it trains": {
			events.Inference, []string{"python3", "-c", trains}, time.Minute,
			"services.inference.command: mine 1 trains, and does not answer", "name a program that does",
		},
		"a trainer": {events.Finetune, []string{"python3", "-c", trains}, time.Minute, "", ""},
		// It says nothing, and is killed when the patience of the check is over.
		"slow": {events.Finetune, []string{"python3", "-c", "import time; time.sleep(60)"}, 50 * time.Millisecond, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var cfg settings.Settings
			cfg.Finetune.Queue, cfg.Finetune.Command = "mine", c.command
			cfg.Inference.Queue, cfg.Inference.Command = "mine", c.command
			got := program(t.Context(), cfg, events.Step{Phase: c.phase, Queue: "mine"}, c.patience)
			if c.says == "" {
				if got != nil {
					t.Errorf("it is refused: %+v", got)
				}
				return
			}
			if got == nil || !got.Needed || !got.Input || !strings.Contains(got.Why, c.says) || !strings.Contains(got.Do, c.way) {
				t.Errorf("%+v", got)
			}
		})
	}
}
