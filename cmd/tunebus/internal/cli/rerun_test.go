package cli_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/history"
)

// rerun repeats a run on the desk's server.
func (d desk) rerun(t *testing.T, args ...string) (status int, out, screen string) {
	t.Helper()
	return tunebus(t, append([]string{"rerun", "--server", d.url, "--artifacts", "file://" + d.dir + "/data/artifacts"}, args...)...)
}

// TestRerun: a run whose inference failed is repeated with other data; what
// it learned is used again, and both the stream and MLflow say so.
func TestRerun(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	at := func(name string) string { return filepath.Join(d.dir, name) }
	if status, _, screen := d.submit(t, nil, "--run-id", "old", "--label", "team=blue", "--set", "inferencer.testing_data_id="+at("columns.jsonl")); status != 3 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	if _, out, _ := tunebus(t, "show", "old", "--server", d.url); !strings.Contains(out, "or use again what is finished: tunebus rerun old") {
		t.Errorf("show:\n%s", out)
	}
	old, err := history.New(d.bus).Run(t.Context(), "old")
	if err != nil {
		t.Fatal(err)
	}
	model, ok := old.Phases[events.Finetune].Completed.Artifact(events.ArtifactModel)
	if !ok {
		t.Fatal("the old run has no model")
	}

	status, out, screen := d.rerun(t, "old", "--run-id", "new", "--set", "inferencer.testing_data_id="+at("rows.jsonl"), "--wait=tracked", "--json")
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	got := summaryOf(t, out)
	if story, _ := facts(t, d.bus, "new"); got.RunID != "new" || got.Status != "success" || story != began+answered+scored+over {
		t.Errorf("%+v: %s", got, story)
	}
	run, err := history.New(d.bus).Run(t.Context(), "new")
	if err != nil {
		t.Fatal(err)
	}
	if a := run.Accepted; a.Inputs.Model == nil || *a.Inputs.Model != model || a.Lineage.RerunOf != "old" || a.Labels["team"] != "blue" || a.Specification.FineTuner.Epochs != 2 {
		t.Errorf("accepted %+v", a)
	}
	top := mlflow(t, at("mlruns"), "new")["pipeline"]
	if top.params["pipeline_rerun_of"] != "old" || top.params["pipeline_rerun_from"] != "inference" {
		t.Errorf("MLflow's parameters are %v", top.params)
	}
	tags, err := filepath.Glob(at("mlruns/*/" + top.id + "/tags/tunebus.rerun_of"))
	if err != nil || len(tags) != 1 || text(t, tags[0]) != "old" {
		t.Errorf("tags %v, %v", tags, err)
	}
	if note := text(t, filepath.Join(filepath.Dir(tags[0]), "mlflow.note.content")); !strings.Contains(note, "Repeats run old from inference on") {
		t.Errorf("the note is %q", note)
	}
	if _, out, _ := tunebus(t, "show", "new", "--server", d.url); !strings.Contains(out, "repeats old from inference on") {
		t.Errorf("show:\n%s", out)
	}

	status, out, screen = d.rerun(t, "new", "--from", "evaluation", "--set", `evaluator.metrics=["chrf"]`)
	if id := strings.TrimSpace(out); status != 0 || !events.ValidToken(id) || !strings.Contains(screen, "repeats new from evaluation on") {
		t.Errorf("status %d, %q\n%s", status, out, screen)
	} else if status, out, screen := tunebus(t, "watch", id, "--json", "--server", d.url); status != 0 || !strings.Contains(out, `"chrf"`) {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	status, out, _ = d.rerun(t, "new", "--from", "evaluation", "--json")
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
		"want RUN":                                        {},
		"--wait=soon":                                     {"new", "--wait=soon"},
	} {
		if status, out, screen := d.rerun(t, args...); status != 2 || out != "" || !strings.Contains(screen, says) {
			t.Errorf("%v: status %d, want 2 and %q\n%s%s", args, status, says, out, screen)
		}
	}
}
