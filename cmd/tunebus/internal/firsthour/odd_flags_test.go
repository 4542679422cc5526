package firsthour

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestOddFlags: what is proposed works with folders that have blanks in their names, and
// with all flags that say where and how a command worked.
func TestOddFlags(t *testing.T) {
	h := newHour(t, width)
	if err := os.Rename(filepath.Join(h.dir, "configs"), filepath.Join(h.dir, "my configs")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "my settings.toml"), []byte("[services.tracker]\nreports = \"settings' reports\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := h.program + " run 'my configs/quickstart.toml' --data 'my data' --label 'a b=c d' --settings 'my settings.toml' --set \"mlflow.run_name=it's me\""
	repeats := func(what string, wants ...string) {
		t.Helper()
		shown := strings.Join(h.hints, "\n")
		for _, want := range wants {
			if !strings.Contains(shown, want) {
				t.Errorf("%s: no hint has %s:\n%s", what, want, shown)
			}
		}
		h.follows()
	}
	if status := h.does(run + " --reports 'my reports' --set fine_tuner.epochs=1"); status != "0" {
		t.Fatal(h.since(0))
	}
	repeats("success", "--data 'my data'", "--settings 'my settings.toml'", "config init my-run.toml")
	if status := h.does(run + " --reports 'my reports' --set fine_tuner.learning_rate=1e30 --set fine_tuner.epochs=40"); status != "3" {
		t.Error(h.since(0))
	}
	repeats("failure", "--label 'a b=c d'", "--reports 'my reports'", "--set fine_tuner.learning_rate=1e30", "--config 'my configs/quickstart.toml'", "--settings 'my settings.toml'")
	at := h.enter(run + " --reports 'my reports' --set fine_tuner.epochs=500")
	h.see(at, `^finetune +\d+/\d+ `)
	h.press("\x03")
	h.interrupted(at)
	repeats("interrupted", " up --data 'my data' --reports 'my reports' --settings 'my settings.toml'", " cancel ")
	h.does(h.program + " show nobody --data 'my data'")
	h.does(h.program + " runs --limt 3 --data 'my data'")
	h.does(h.program + " rerun last --reports x --data 'my data'")
	repeats("bad input", "runs --data 'my data'", "rerun --help")
	h.does(h.program + " run --predictions nothere.jsonl --data 'my data'")
	h.follows()
}
