package propose_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// completed are the proposals for the last word, without their descriptions, and
// the number that tells the shell how to use them.
func completed(t *testing.T, words ...string) (proposals []string, directive string) {
	t.Helper()
	status, out, screen := clitest.Run(t, append([]string{"__complete"}, words...)...)
	if status != 0 {
		t.Fatalf("%q: status %d\n%s", words, status, screen)
	}
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, ":") {
			return proposals, line
		}
		proposal, _, _ := strings.Cut(line, "\t")
		proposals = append(proposals, proposal)
	}
	t.Fatalf("%q: no directive in %q", words, out)
	return nil, ""
}

// The directives of cobra: 1 error, 2 no space, 4 no files, 8 files by extension,
// 16 folders, 32 keep the order.
const goOn, done, files, folders = ":38", ":36", ":8", ":16"

func TestCompleteAssignments(t *testing.T) {
	t.Parallel()
	for begun, want := range map[string]struct {
		proposals []string
		directive string
	}{
		"":                            {[]string{"fine_tuner.", "inferencer.", "evaluator.", "mlflow.", "pipeline."}, goOn},
		"fine_t":                      {[]string{"fine_tuner."}, goOn},
		"fine_tuner.e":                {[]string{"fine_tuner.engine=", "fine_tuner.epochs=", "fine_tuner.eval_steps=", "fine_tuner.early_stopping_patience="}, goOn},
		"epo":                         {[]string{"fine_tuner.epochs="}, goOn},
		"fine_tuner.engine=":          {[]string{"fine_tuner.engine=builtin", "fine_tuner.engine=trl", "fine_tuner.engine=unsloth", "fine_tuner.engine=command"}, done},
		"fine_tuner.engine=t":         {[]string{"fine_tuner.engine=trl"}, done},
		"inferencer.baseline=":        {[]string{"inferencer.baseline=true", "inferencer.baseline=false"}, done},
		"fine_tuner.epochs=":          {[]string{"fine_tuner.epochs=3"}, done},
		"fine_tuner.optimizer=stable": {[]string{"fine_tuner.optimizer=stable_adamw"}, done},
		"fine_tuner.report_to=ten":    {[]string{"fine_tuner.report_to=tensorboard"}, done},
		"mlflow.register_as=":         {[]string{"mlflow.register_as=null"}, done},
		"evaluator.metrics=chrf,roug": {[]string{"evaluator.metrics=chrf,rouge_score"}, goOn},
		"evaluator.ga":                {[]string{"evaluator.gates.", "evaluator.gate_coverage="}, goOn},
		"evaluator.gates.chrf=":       {[]string{"evaluator.gates.chrf=0.5"}, goOn},
		"nothing.x":                   {nil, goOn},
		"nothing.x=":                  {nil, goOn},
	} {
		for _, verb := range [][]string{{"run"}, {"submit"}, {"config", "check"}, {"rerun", "r"}, {"replay", "requests"}} {
			got, directive := completed(t, append(verb, "--set", begun)...)
			if !slices.Equal(got, want.proposals) || directive != want.directive {
				t.Errorf("%v --set %q proposes %q%s, want %q%s", verb, begun, got, directive, want.proposals, want.directive)
			}
		}
	}
}

// TestCompleteEveryKey: what is proposed for each key is accepted by --set.
func TestCompleteEveryKey(t *testing.T) {
	t.Parallel()
	for _, k := range spec.Keys() {
		path := k.Section + "." + k.Name
		if got, _ := completed(t, "run", "--set", path); !slices.Contains(got, path+"=") && !slices.Contains(got, path+".") {
			t.Errorf("%s is not proposed: %q", path, got)
		}
		got, _ := completed(t, "run", "--set", path+"=")
		for _, assignment := range got {
			var tree structconf.Tree
			if fault := tree.Set(assignment); fault != nil {
				t.Errorf("%s: %v", assignment, fault)
			}
			_, faults := spec.Decode(tree)
			for _, f := range faults {
				if isOfAnother(f) {
					continue
				}
				if f.Key == path && !strings.HasSuffix(assignment, "="+structconf.Null) { // some keys need a value
					t.Errorf("%s is proposed, but %v", assignment, f)
				}
			}
		}
	}
}

func TestCompleteFilesAndPhases(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		words     []string
		proposals []string
		directive string
	}{
		{[]string{"run", ""}, []string{"toml"}, files},
		{[]string{"config", "check", ""}, []string{"toml"}, files},
		{[]string{"run", "--config", ""}, []string{"toml"}, files},
		{[]string{"show", "--settings", ""}, []string{"toml"}, files},
		{[]string{"run", "--data", ""}, nil, folders},
		{[]string{"help", "ex"}, []string{"exit-status", "export"}, ":4"},
		{[]string{"help", "config", ""}, []string{"check", "doc", "init"}, ":4"},
		{[]string{"help", "show", ""}, nil, ":4"},
		{[]string{"rerun", "r", "--from", ""}, []string{"finetune", "inference", "evaluation"}, ":4"},
	} {
		got, directive := completed(t, c.words...)
		if !slices.Equal(got, c.proposals) || directive != c.directive {
			t.Errorf("%q proposes %q%s, want %q%s", c.words, got, directive, c.proposals, c.directive)
		}
	}
}

// TestCompleteContexts proposes the contexts of the nats command.
func TestCompleteContexts(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	if got, _ := completed(t, "show", "--context", ""); got != nil {
		t.Errorf("without a folder: %q", got)
	}
	dir := filepath.Join(home, "nats", "context")
	if err := os.MkdirAll(dir, 0o750); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"prod.json", "prod-eu.json", "test.json", "notes.txt"} {
		clitest.Write(t, dir, name, "{}")
	}
	if got, _ := completed(t, "dlq", "list", "--context", "pr"); !slices.Equal(got, []string{"prod-eu", "prod"}) && !slices.Equal(got, []string{"prod", "prod-eu"}) {
		t.Errorf("contexts %q", got)
	}
}

// TestCompletionScripts: each shell gets a script; those that look for the end of
// a flag's name take the first "=" for it.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for shell, marks := range map[string]int{"bash": 0, "fish": 1, "powershell": 0, "zsh": 1} {
		for _, args := range [][]string{{"completion", shell}, {"completion", shell, "--no-descriptions"}} {
			status, out, screen := clitest.Run(t, args...)
			if status != 0 || len(out) < 1000 || strings.Contains(out, "'-.*='") || strings.Count(out, "'^-[^=]*='") != marks {
				t.Errorf("%q: status %d, %d bytes, %d marks, %s", args, status, len(out), strings.Count(out, "'^-[^=]*='"), screen)
			}
		}
	}
}

// isOfAnother reports whether a value is for another engine or method, for a run with
// validation data, or for a scheduler's arguments that stand in another key.
func isOfAnother(f structconf.Fault) bool {
	return slices.ContainsFunc([]string{"; fine_tuner.engine = ", "and no other method does", "fine_tuner.validation_data_id names no data",
		"that fine_tuner.lr_scheduler_kwargs does not have"}, func(why string) bool {
		return strings.Contains(f.Message, why)
	})
}
