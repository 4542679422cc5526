package repeatcmd_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// rerun repeats a run on the services' server.
func rerun(t *testing.T, services clitest.Services, args ...string) (status int, out, screen string) {
	t.Helper()
	return clitest.Run(t, append([]string{"rerun", "--server", services.URL, "--artifacts", services.Artifacts()}, args...)...)
}

// TestRerun: a run whose inference failed is repeated with other data; what
// it learned is used again, and both the stream and MLflow say so.
func TestRerun(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	at := func(name string) string { return filepath.Join(services.Dir, name) }
	if status, _, screen := services.Submit(t, nil, "--run-id", "old", "--label", "team=blue", "--set", "inferencer.testing_data_id=nobody/nothing", "--set", "pipeline.max_tries=1"); status != 3 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	if _, out, _ := clitest.Run(t, "show", "old", "--server", services.URL); !strings.Contains(out, "mend what the error names, a key by --set KEY=VALUE behind this, then:\n    tunebus rerun old --server ") {
		t.Errorf("show:\n%s", out)
	}
	old, err := history.New(services.Bus).Run(t.Context(), "old")
	if err != nil {
		t.Fatal(err)
	}
	model, ok := old.Phases[events.Finetune].Completed.Artifact(events.ArtifactModel)
	if !ok {
		t.Fatal("the old run has no model")
	}

	status, out, screen := rerun(t, services, "old", "--run-id", "new", "--set", "inferencer.testing_data_id="+at("rows.jsonl"), "--wait=tracked", "--json")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	got := clitest.ReadSummary(t, out)
	if facts, _ := clitest.FactTypes(t, services.Bus, "new"); got.RunID != "new" || got.Status != "success" || facts != clitest.FactsBegin+clitest.FactsInference+clitest.FactsEvaluation+clitest.FactsEnd {
		t.Errorf("%+v: %s", got, facts)
	}
	run, err := history.New(services.Bus).Run(t.Context(), "new")
	if err != nil {
		t.Fatal(err)
	}
	if a := run.Accepted; a.Inputs.Model == nil || *a.Inputs.Model != model || a.Lineage.RerunOf != "old" || a.Labels["team"] != "blue" || a.Specification.FineTuner.Epochs != 2 {
		t.Errorf("accepted %+v", a)
	}
	top := clitest.MLflowRuns(t, at("mlruns"), "new")["pipeline"]
	if top.Params["pipeline_rerun_of"] != "old" || top.Params["pipeline_rerun_from"] != "inference" {
		t.Errorf("MLflow's parameters are %v", top.Params)
	}
	tags, err := filepath.Glob(at("mlruns/*/" + top.ID + "/tags/tunebus.rerun_of"))
	if err != nil || len(tags) != 1 || clitest.Text(t, tags[0]) != "old" {
		t.Errorf("tags %v, %v", tags, err)
	}
	if note := clitest.Text(t, filepath.Join(filepath.Dir(tags[0]), "mlflow.note.content")); !strings.Contains(note, "Repeats run old from inference on") {
		t.Errorf("the note is %q", note)
	}
	if _, out, _ := clitest.Run(t, "show", "new", "--server", services.URL); !strings.Contains(out, "repeats old from inference on") {
		t.Errorf("show:\n%s", out)
	}

	status, out, screen = rerun(t, services, "new", "--from", "evaluation", "--set", `evaluator.metrics=["chrf"]`)
	if id := strings.TrimSpace(out); status != 0 || !events.ValidToken(id) || !strings.Contains(screen, "repeats new from evaluation on") {
		t.Errorf("status %d, %q\n%s", status, out, screen)
	} else if status, out, screen := clitest.Run(t, "watch", id, "--json", "--server", services.URL); status != 0 || !strings.Contains(out, `"chrf"`) {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	status, out, _ = rerun(t, services, "new", "--from", "evaluation", "--json")
	if status != 0 || !strings.Contains(out, `"rerun_of": "new"`) || !strings.Contains(out, `"from": "evaluation"`) {
		t.Errorf("status %d\n%s", status, out)
	}

	for says, args := range map[string][]string{
		"fine_tuner.epochs = 5: finetune is not repeated": {"new", "--from", "inference", "--set", "fine_tuner.epochs=5"},
		"start from finetune to change this":              {"new", "--from", "inference", "--wait", "--set", "fine_tuner.rank=3"},
		"rerun_of = nobody: no such run":                  {"nobody"},
		"--from cooking: want one of":                     {"new", "--from", "cooking"},
		`did you mean "rank"?`:                            {"new", "--set", "fine_tuner.rnk=1"},
		"no such file or folder":                          {"new", "--set", "inferencer.testing_data_id=none.jsonl"},
		"a run id has":                                    {"no.token"},
		"want one RUN":                                    {},
		"--wait=soon":                                     {"new", "--wait=soon"},
	} {
		if status, out, screen := rerun(t, services, args...); status != 2 || out != "" || !strings.Contains(screen, says) {
			t.Errorf("%v: status %d, want 2 and %q\n%s%s", args, status, says, out, screen)
		}
	}
}
