package audit_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/events"
)

// message returns an event as the server stores it.
func message(t *testing.T, ev events.Event) snapshot.Message {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"id": "injected", "type": ev.Type(), "dataschema": events.Schema(ev.Type()), "data": ev,
	})
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.Message{Subject: ev.Subject(), ID: "injected", Body: body}
}

// unwrap decodes the data of an event.
func unwrap(t *testing.T, body []byte, to any) {
	t.Helper()
	var e struct {
		Data json.RawMessage `json:"data"`
	}
	err := json.Unmarshal(body, &e)
	if err == nil {
		err = json.Unmarshal(e.Data, to)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// mlflowRun returns the folder of the MLflow run of a phase.
func mlflowRun(t *testing.T, b recording, phase string) string {
	t.Helper()
	tags, err := filepath.Glob(filepath.Join(b.dir, "mlruns", "*", "*", "tags", "tunebus.phase"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range tags {
		if body, err := os.ReadFile(tag); err != nil || string(body) == phase {
			return filepath.Dir(filepath.Dir(tag))
		}
	}
	t.Fatalf("no MLflow run of %s is recorded", phase)
	return ""
}

// edit changes a file, and fails if the content remains the same.
func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	after := change(slices.Clone(body))
	if bytes.Equal(after, body) {
		t.Fatalf("%s has not changed:\n%s", path, body)
	}
	if err := os.WriteFile(path, after, 0o600); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o750)
	if err == nil {
		err = os.WriteFile(path, []byte("left"), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// replaceAll replaces the matches of a pattern.
func replaceAll(pattern, by string) func([]byte) []byte {
	return func(body []byte) []byte { return regexp.MustCompile(pattern).ReplaceAll(body, []byte(by)) }
}

// editMLflow changes a file of the MLflow run of a phase.
func editMLflow(phase, file string, change func([]byte) []byte) func(*testing.T, recording) {
	return func(t *testing.T, b recording) { edit(t, filepath.Join(mlflowRun(t, b, phase), file), change) }
}

func removeFile(path ...string) func(*testing.T, recording) {
	return func(t *testing.T, b recording) { remove(t, filepath.Join(append([]string{b.dir}, path...)...)) }
}

func addFile(path ...string) func(*testing.T, recording) {
	return func(t *testing.T, b recording) { write(t, filepath.Join(append([]string{b.dir}, path...)...)) }
}

// step1 matches the line of step 1 in the file of a metric.
const step1 = `(?m)^\d+ \S+ 1\n`

func injectedTrackingFaults() []injectedFault {
	return []injectedFault{
		{name: "an MLflow run twice", kind: audit.Duplicated, text: "second MLflow run of finetune",
			folders: func(t *testing.T, b recording) {
				folder := mlflowRun(t, b, "finetune")
				if err := os.CopyFS(folder[:len(folder)-4]+"ffff", os.DirFS(folder)); err != nil {
					t.Fatal(err)
				}
			}},
		{name: "no MLflow run", kind: audit.Lost, object: run, text: "no MLflow run of inference",
			folders: func(t *testing.T, b recording) { remove(t, mlflowRun(t, b, "inference")) }},
		{name: "an MLflow run that goes on", kind: audit.Stuck, text: "has not ended",
			folders: editMLflow("evaluation", "meta.yaml", replaceAll("status: 3", "status: 1"))},
		{name: "an MLflow run that failed", kind: audit.Torn, text: "has status 4",
			folders: editMLflow("evaluation", "meta.yaml", replaceAll("status: 3", "status: 4"))},
		{name: "an MLflow run that ended at another time", kind: audit.Torn, text: "the stream says",
			folders: editMLflow("pipeline", "meta.yaml", replaceAll(`end_time: \d+`, "end_time: 12345"))},
		{name: "an MLflow run below another", kind: audit.Torn, text: "not below the MLflow run of its pipeline",
			folders: editMLflow("finetune", "tags/mlflow.parentRunId", replaceAll("^.", "x"))},
		{name: "an MLflow run without its parameters", kind: audit.Lost, text: "no parameter phase",
			folders: func(t *testing.T, b recording) { remove(t, filepath.Join(mlflowRun(t, b, "inference"), "params")) }},
		{name: "an MLflow run with another parameter", kind: audit.Torn, text: "pipeline_success is False",
			folders: editMLflow("pipeline", "params/pipeline_success", replaceAll(".*", "False"))},
		{name: "a step twice", kind: audit.Duplicated, text: "step 1 of loss twice",
			folders: editMLflow("finetune", "metrics/loss", replaceAll(step1, "$0$0"))},
		{name: "a step that is missing", kind: audit.Lost, text: "lacks 1 of the 10 points of loss",
			folders: editMLflow("finetune", "metrics/loss", replaceAll(step1, ""))},
		{name: "a step with another value", kind: audit.Torn, text: "the history of the phase",
			folders: editMLflow("finetune", "metrics/loss", replaceAll(`^(\d+) \S+`, "$1 77"))},
		{name: "an MLflow run without its artifact", kind: audit.Lost, text: "has no artifact model.txt",
			folders: func(t *testing.T, b recording) {
				remove(t, filepath.Join(mlflowRun(t, b, "finetune"), "artifacts", "model.txt"))
			}},
		{name: "an MLflow run with another artifact", kind: audit.Torn, text: "artifact model.txt that is not the phase's",
			folders: editMLflow("finetune", "artifacts/model.txt", replaceAll("model", "mouse"))},
		{name: "an MLflow run of no run", kind: audit.Left, text: "MLflow run of no run",
			folders: func(t *testing.T, b recording) {
				folder := mlflowRun(t, b, "finetune")
				strange := folder[:len(folder)-4] + "ffff"
				if err := os.CopyFS(strange, os.DirFS(folder)); err != nil {
					t.Fatal(err)
				}
				edit(t, filepath.Join(strange, "tags", "tunebus.run_id"), replaceAll(".*", "unknown"))
			}},
		{name: "a temporary file of an MLflow run", kind: audit.Left, object: ".tmp-1",
			folders: func(t *testing.T, b recording) { write(t, filepath.Join(mlflowRun(t, b, "finetune"), ".tmp-1")) }},
		{name: "a temporary file below an MLflow run", kind: audit.Left, object: ".tmp-1",
			folders: func(t *testing.T, b recording) {
				write(t, filepath.Join(mlflowRun(t, b, "finetune"), "metrics", ".tmp-1"))
			}},
		{name: "half an MLflow run", kind: audit.Left, object: "without meta.yaml",
			folders: func(t *testing.T, b recording) {
				write(t, filepath.Join(filepath.Dir(mlflowRun(t, b, "finetune")), "0123", "params", "phase"))
			}},
	}
}

func injectedFileFaults() []injectedFault {
	const model = "runs/" + run + "/finetune/2/model.txt"
	history := func(change func([]byte) []byte) func(*testing.T, *snapshot.State) {
		return func(t *testing.T, s *snapshot.State) {
			const key = "runs/" + run + "/finetune/2/metrics.jsonl"
			o := s.Artifacts[key]
			before := o.Content
			if o.Content = change(slices.Clone(before)); bytes.Equal(o.Content, before) {
				t.Fatalf("the history has not changed:\n%s", before)
			}
			s.Artifacts[key] = o
		}
	}
	line := func(id, status string) func(*testing.T, *snapshot.State) {
		return func(_ *testing.T, s *snapshot.State) {
			s.List = append(s.List, snapshot.Line{RunID: id, Status: status})
		}
	}
	key := func(bucket string) func(*testing.T, *snapshot.State) {
		return func(_ *testing.T, s *snapshot.State) { s.Keys[bucket] = append(s.Keys[bucket], "left") }
	}
	return []injectedFault{
		{name: "no artifact", kind: audit.Lost, object: model, text: "refers to it", folders: removeFile("data/artifacts", model)},
		{name: "a damaged artifact", kind: audit.Torn, object: model, text: "has 9 bytes",
			folders: func(t *testing.T, b recording) {
				edit(t, filepath.Join(b.dir, "data/artifacts", model), replaceAll("model", "mouse"))
			}},
		{name: "an artifact of another store", kind: audit.Torn, object: "runs/" + run, text: "lies in store", also: 3,
			folders: func(t *testing.T, b recording) {
				edit(t, filepath.Join(b.dir, "data/artifacts/.tunebus-store"), replaceAll("^.", "x"))
			}},
		{name: "an artifact without a reference", kind: audit.Left, object: "runs/old/finetune/1/model", folders: addFile("data/artifacts/runs/old/finetune/1/model")},
		{name: "an artifact that is being written", kind: audit.Left, object: ".partial/x", folders: addFile("data/artifacts/.partial/x")},
		{name: "an empty folder", kind: audit.Left, object: "empty folder",
			folders: func(t *testing.T, b recording) {
				if err := os.MkdirAll(filepath.Join(b.dir, "data/artifacts/runs/empty"), 0o750); err != nil {
					t.Fatal(err)
				}
			}},
		{name: "a step twice in the history", kind: audit.Duplicated, object: "metrics.jsonl", text: "step 1 of loss twice",
			state: history(replaceAll(`^.*\n`, "$0$0"))},
		{name: "a step that the history lacks", kind: audit.Lost, object: "metrics.jsonl", text: "no step 1 of loss",
			folders: editMLflow("finetune", "metrics/loss", replaceAll(step1, "")),
			state:   history(replaceAll(`^.*\n`, ""))},
		{name: "a history that cannot be read", kind: audit.Torn, object: "metrics.jsonl", text: "cannot be read",
			state: history(func(b []byte) []byte { return append(b, "{"...) })},
		{name: "a checkpoint", kind: audit.Left, object: "tunebus_checkpoints/left", state: key("tunebus_checkpoints")},
		{name: "a lease", kind: audit.Left, object: "tunebus_leases/left", state: key("tunebus_leases")},
		{name: "no bucket of leases", kind: audit.Lost, object: "tunebus_leases", text: "is gone",
			state: func(_ *testing.T, s *snapshot.State) { delete(s.Keys, "tunebus_leases") }},
		{name: "a scratch folder", kind: audit.Left, object: "tunebus-finetune-1", folders: addFile("data/scratch/tunebus-finetune-1/weights")},
		{name: "a process", kind: audit.Left, object: "process 77",
			state: func(_ *testing.T, s *snapshot.State) { s.Left = append(s.Left, "process 77") }},

		{name: "no summary", kind: audit.Lost, object: "reports of run", text: "pipeline_summary.json is not there",
			folders: removeFile("reports", run, "pipeline_summary.json")},
		{name: "the summary of another run", kind: audit.Torn, object: "reports of run", text: `is the summary of run "other"`,
			folders: func(t *testing.T, b recording) {
				edit(t, filepath.Join(b.dir, "reports", run, "pipeline_summary.json"), replaceAll(`"run_id": "recorded"`, `"run_id": "other"`))
			}},
		{name: "no scores", kind: audit.Lost, object: "reports of run", text: "evaluator_output_summary.json is not there",
			folders: removeFile("reports", run, "evaluator_output_summary.json")},
		{name: "scores that cannot be read", kind: audit.Torn, object: "reports of run", text: "evaluator_output_summary.json is no JSON",
			folders: func(t *testing.T, b recording) {
				edit(t, filepath.Join(b.dir, "reports", run, "evaluator_output_summary.json"), func(b []byte) []byte { return b[:len(b)/2] })
			}},
		{name: "no workbook", kind: audit.Lost, object: "reports of run", text: "xlsx is not there",
			folders: removeFile("reports", run, "evaluator_output_detailed.xlsx")},
		{name: "half a workbook", kind: audit.Torn, object: "reports of run", text: "xlsx",
			folders: func(t *testing.T, b recording) {
				edit(t, filepath.Join(b.dir, "reports", run, "evaluator_output_detailed.xlsx"), func(b []byte) []byte { return b[:len(b)/2] })
			}},
		{name: "no line in the list", kind: audit.Lost, object: run, text: "no line",
			state: func(_ *testing.T, s *snapshot.State) { s.List = nil }},
		{name: "two lines in the list", kind: audit.Duplicated, object: run, text: "2 lines", state: line(run, "success")},
		{name: "a line with another status", kind: audit.Torn, object: run, text: "is running in the list",
			state: func(_ *testing.T, s *snapshot.State) { s.List[0].Status = "running" }},
		{name: "a line of no run", kind: audit.Left, object: "unknown", text: "in the list", state: line("unknown", "success")},
		{name: "reports of no run", kind: audit.Left, object: "unknown", text: "has reports", folders: addFile("reports/unknown/pipeline_summary.json")},
		{name: "a temporary report", kind: audit.Left, object: ".tmp-1", folders: addFile("reports", run, ".tmp-1")},
	}
}

// TestEachKindIsInjected: the tests inject a fault of each kind.
func TestEachKindIsInjected(t *testing.T) {
	t.Parallel()
	injected := map[audit.Kind]bool{}
	for _, p := range slices.Concat(injectedFactFaults(), injectedAttemptFaults(), injectedStepFaults(), injectedTrackingFaults(), injectedFileFaults()) {
		injected[p.kind] = true
		if strings.TrimSpace(p.object+p.text) == "" {
			t.Errorf("%s: no expectation", p.name)
		}
	}
	for _, k := range []audit.Kind{audit.Lost, audit.Duplicated, audit.Stuck, audit.Torn, audit.Failed, audit.Left, audit.Repeated} {
		if !injected[k] {
			t.Errorf("no fault of the kind %s is injected", k)
		}
	}
}
