package cli_test

import (
	"encoding/json"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/services/tracker/report"
	"github.com/tunebus/tunebus/services/tracker/report/pipelinesummary"
)

// TestRunIDThatIsTaken: the request is rejected, and nobody takes the run that
// is there for the one that was asked for.
func TestRunIDThatIsTaken(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	evaluate := []string{"--run-id", "mine", "--skip-finetuning", "--skip-inference", "--predictions", filepath.Join(d.dir, "answers.jsonl")}
	if status, got, screen := d.submit(t, nil, append(evaluate, "--label", "team=blue", "--label", "why=a test")...); status != 0 || got.RunID != "mine" {
		t.Fatalf("status %d, %+v\n%s", status, got, screen)
	}
	status, out, screen := tunebus(t, append([]string{
		"submit", "--wait", "--server", d.url, "--artifacts", "file://" + d.dir + "/data/artifacts", "--config", d.dir + "/small.toml",
	}, evaluate...)...)
	if status != 2 || out != "" || !strings.Contains(screen, "the request was rejected") || !strings.Contains(screen, "run_id = mine") {
		t.Errorf("status %d\n%s%s", status, out, screen)
	}
	whole := object[pipelinesummary.Summary](t, filepath.Join(d.dir, "reports", "mine", report.PipelineSummaryName))
	if want := map[string]string{"team": "blue", "why": "a test"}; !maps.Equal(whole.Labels, want) {
		t.Errorf("labels %v, want %v", whole.Labels, want)
	}
	for _, args := range [][]string{{"show", "mine"}, {"watch", "mine"}} {
		if status, out, screen := tunebus(t, append(args, "--server", d.url)...); status != 0 || !strings.Contains(out, "success in ") || !strings.Contains(out, "key_fact_accuracy") {
			t.Errorf("%v: status %d\n%s%s", args, status, out, screen)
		}
	}
	status, out, _ = tunebus(t, "show", "mine", "--json", "--server", d.url)
	var shown pipelinesummary.Summary
	if err := json.Unmarshal([]byte(out), &shown); err != nil || status != 0 || shown.Conclusion != events.Success || shown.Links["mlflow_pipeline"] == "" {
		t.Errorf("show --json: status %d, %v\n%s", status, err, out)
	}
	status, out, _ = tunebus(t, "cancel", "mine", "--json", "--server", d.url)
	if status != 2 || !strings.Contains(out, `"cancel_requested": false`) || !strings.Contains(out, `"status": "success"`) {
		t.Errorf("cancel of an ended run: status %d\n%s", status, out)
	}
	for _, args := range [][]string{{"show", "nobody"}, {"watch", "nobody"}, {"watch", "no.token"}, {"cancel", "nobody"}, {"cancel", "no.token"}} {
		if status, out, screen := tunebus(t, append(args, "--server", d.url)...); status != 2 || out != "" || !strings.Contains(screen, "is unknown on") {
			t.Errorf("%v: status %d\n%s%s", args, status, out, screen)
		}
	}
	if story, _ := facts(t, d.bus, "nobody"); story != "" {
		t.Errorf("somebody wrote %s of a run that is unknown", story)
	}
}

func TestBadOrders(t *testing.T) {
	t.Parallel()
	for says, args := range map[string][]string{
		"--run-id = a.b: a run id has": {"--run-id", "a.b"},
		"--label = x: want name=value": {"--label", "x", "--run-id", "also bad"},
		"--wait=soon: want completed":  {"--wait=soon"},
	} {
		status, out, screen := tunebus(t, append([]string{"submit", "--config", quickstart}, args...)...)
		if status != 2 || out != "" || !strings.Contains(screen, says) {
			t.Errorf("%v: status %d\n%s%s", args, status, out, screen)
		}
	}
}

// TestPathsStartWhereTheyStand: a path in a file starts at the file's folder,
// one in a flag at the working folder.
func TestPathsStartWhereTheyStand(t *testing.T) {
	d := desk{dir: t.TempDir()}
	d.write(t, "one.toml", "[fine_tuner]\nbase_model_id = \"there\"\ntraining_data_id = \"rows.jsonl\"")
	d.write(t, "rows.jsonl", `{"question":"q","answer":"a"}`)
	t.Chdir(t.TempDir()) // where the file is not
	_, _, screen := tunebus(t, "run", "--stop-after-finetuning", "--config", d.dir+"/one.toml", "--set", "fine_tuner.validation_data_id=rows.jsonl")
	if !strings.Contains(screen, "("+d.dir+"/there)") || !strings.Contains(screen, "validation_data_id = rows.jsonl: no such file or folder (rows.jsonl)") || strings.Contains(screen, "training_data_id") {
		t.Errorf("faults:\n%s", screen)
	}
}

// TestDoctor: what is fine, what is missing, and what to do.
func TestDoctor(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	eventually(t, "the workers ask for jobs", func() bool { // which they do behind the start
		queues, err := topology.NewInspector(d.bus).Queues(t.Context())
		return err == nil && slices.ContainsFunc(queues, func(q topology.Queue) bool { return q.Phase == events.Finetune && q.Idle == 1 })
	})
	status, out, screen := tunebus(t, "doctor", "--server", d.url)
	for _, want := range []string{"NATS ", "stream TUNEBUS ", "queue finetune/builtin", "free slots 1", "queue inference/openai", "artifacts ", "MLflow "} {
		if status != 0 || !strings.Contains(out, want) {
			t.Errorf("no %q, status %d\n%s%s", want, status, out, screen)
		}
	}
	if _, err := journal.New(d.bus).Publish(t.Context(), events.PhaseRequested{RunID: "r", Phase: events.Inference, Queue: "openai"}, journal.Fence{}); err != nil {
		t.Fatal(err)
	}
	status, out, _ = tunebus(t, "doctor", "--json", "--server", d.url)
	var found []struct{ Name, State, Says, Do string }
	if err := json.Unmarshal([]byte(out), &found); err != nil {
		t.Fatal(err)
	}
	states := map[string]string{}
	for _, f := range found {
		states[f.Name] = f.State + " " + f.Do
	}
	if status != 0 || states["queue inference/openai"] != "look start a worker that takes jobs from it" || states["NATS"] != "ok " {
		t.Errorf("status %d, %v", status, states)
	}
}

// TestDoctorWithoutAServer still looks at this machine.
func TestDoctorWithoutAServer(t *testing.T) {
	t.Parallel()
	status, out, _ := tunebus(t, "doctor", "--server", "nats://127.0.0.1:1")
	if status != 1 || !strings.Contains(out, "broken  NATS") || !strings.Contains(out, "start it, or say where it is") || !strings.Contains(out, "built-in engine") {
		t.Errorf("status %d\n%s", status, out)
	}
	server, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(), Listen: "127.0.0.1:0", RelaxedSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	empty := server.URL()
	status, out, _ = tunebus(t, "doctor", "--server", empty)
	if status != 1 || !strings.Contains(out, "broken  stream TUNEBUS ") || !strings.Contains(out, `"tunebus setup" creates what is missing`) {
		t.Errorf("without streams: status %d\n%s", status, out)
	}
	if status, out, screen := tunebus(t, "setup", "--json", "--server", empty, "--queue", "finetune=big-gpu"); status != 0 || !strings.Contains(out, "big-gpu") {
		t.Errorf("setup: status %d\n%s%s", status, out, screen)
	}
	if status, out, _ := tunebus(t, "doctor", "--server", empty); status != 0 || !strings.Contains(out, "queue finetune/big-gpu") {
		t.Errorf("after setup: status %d\n%s", status, out)
	}
}
