package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/xuri/excelize/v2"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/processes"
	"github.com/tunebus/tunebus/pipeline/cloudblob/s3test"
)

// request is a request as a plain NATS client publishes it. Its paths start at the
// data roots of the services.
const request = `{"specification": {
  "fine_tuner": {"base_model_id": "base-model", "training_data_id": "validation.jsonl", "max_sequence_length": 128,
    "full_finetuning": true, "device_train_batch_size": 8, "grad_accumulation": 1, "epochs": 2, "warmup_steps": 1},
  "inferencer": {"testing_data_id": "validation.jsonl", "temperature": 0, "max_new_tokens": 8, "batch_size": 32},
  "evaluator": {"metrics": ["rouge_score", "key_fact"]},
  "mlflow": {"run_name": "separate"}}}`

// TestSeparateServices runs NATS and the five services as separate processes. NATS
// starts after the services, and inference after its job was queued.
func TestSeparateServices(t *testing.T) {
	t.Parallel()
	t.Run("files", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		runSeparately(t, dir, "file://"+filepath.Join(dir, "artifacts"))
	})
	t.Run("object store", func(t *testing.T) {
		t.Parallel()
		runSeparately(t, t.TempDir(), "jetstream://artifacts")
	})
	t.Run("S3", func(t *testing.T) {
		t.Parallel()
		server := s3test.New(t)
		runSeparately(t, t.TempDir(), server.Address("artifacts"), server.Environ()...)
		if len(server.Keys()) < 4 { // the id of the store, and an artifact of each phase
			t.Errorf("the bucket holds %q", server.Keys())
		}
	})
}

// runSeparately runs the pipeline with artifacts in a store. environ are the variables
// that the programs need to reach the store.
func runSeparately(t *testing.T, dir, store string, environ ...string) {
	t.Helper()
	port := processes.FreePort(t)
	url := fmt.Sprintf("nats://127.0.0.1:%d", port)
	env := append(environ,
		"TUNEBUS_BUS_URL="+url,
		"TUNEBUS_ARTIFACTS_URL="+store,
		"TUNEBUS_DATA_ROOTS="+filepath.Join(processes.Root(), "configs", "quickstart"),
		"TUNEBUS_SERVICES_TRACKER_TRACKING_URI=file:"+filepath.Join(dir, "mlruns"),
		"TUNEBUS_SERVICES_TRACKER_REPORTS="+filepath.Join(dir, "reports"),
	)
	services := map[string]*processes.Process{}
	for _, name := range []string{"tracker", "evaluation", "finetune", "intake"} {
		services[name] = programs.Start(t, dir, "tunebus-"+name, env)
	}
	for _, p := range services {
		p.WaitForLog(t, "waiting for NATS")
	}
	conf := filepath.Join(processes.Root(), "deploy", "nats", "nats.conf")
	programs.Start(t, dir, "nats-server", nil, "-c", conf, "-a", "127.0.0.1", "-p", fmt.Sprint(port), "-m", fmt.Sprint(processes.FreePort(t)), "-sd", filepath.Join(dir, "nats"))
	setup := programs.Start(t, dir, "tunebus", env, "setup", "--wait", "30s")
	setup.Wait(t, 60*time.Second)

	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "pipeline.requested", []byte(request)); err != nil {
		t.Fatal(err)
	}
	subjects := func() map[string]uint64 {
		s, err := js.Stream(t.Context(), "TUNEBUS")
		if err != nil {
			t.Fatal(err)
		}
		info, err := s.Info(t.Context(), jetstream.WithSubjectFilter(">"))
		if err != nil {
			t.Fatal(err)
		}
		return info.State.Subjects
	}
	stored := func(prefix string) func() error {
		return func() error {
			for s := range subjects() {
				if strings.HasPrefix(s, prefix) {
					return nil
				}
			}
			return fmt.Errorf("stored are %v", subjects())
		}
	}
	processes.Eventually(t, 90*time.Second, "the job of inference", stored("inference.requested."))
	services["inference"] = programs.Start(t, dir, "tunebus-inference", env)
	processes.Eventually(t, 90*time.Second, "the run's end", stored("pipeline.completed."))
	processes.Eventually(t, 30*time.Second, "tracking", stored("tracking.completed."))

	var run string
	for s, n := range subjects() {
		if n != 1 {
			t.Errorf("%s is stored %d times", s, n)
		}
		if rest, ok := strings.CutPrefix(s, "pipeline.completed."); ok {
			run = rest
		}
	}
	want := []string{
		"pipeline.accepted.%s",
		"finetune.requested.%s.builtin", "finetune.started.%s.1", "finetune.completed.%s",
		"inference.requested.%s.builtin", "inference.started.%s.1", "inference.completed.%s",
		"evaluation.requested.%s.builtin", "evaluation.started.%s.1", "evaluation.completed.%s",
		"pipeline.completed.%s", "tracking.completed.%s",
	}
	for i := range want {
		want[i] = fmt.Sprintf(want[i], run)
	}
	slices.Sort(want)
	var got []string
	for s := range subjects() {
		got = append(got, s)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("facts\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	wantConclusion(t, js, run)
	wantMLflowRuns(t, filepath.Join(dir, "mlruns"))
	wantReports(t, filepath.Join(dir, "reports", run))

	for _, p := range services {
		p.Stop(t)
	}
	left, err := filepath.Glob(filepath.Join(dir, "tunebus-scratch-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("scratch folders are left: %v, %v", left, err)
	}
}

func wantConclusion(t *testing.T, js jetstream.JetStream, run string) {
	t.Helper()
	s, err := js.Stream(t.Context(), "TUNEBUS")
	if err != nil {
		t.Fatal(err)
	}
	msg, err := s.GetLastMsgForSubject(t.Context(), "pipeline.completed."+run)
	if err != nil {
		t.Fatal(err)
	}
	var event struct {
		SpecVersion string `json:"specversion"`
		Type        string `json:"type"`
		Data        struct {
			Conclusion string             `json:"conclusion"`
			Scores     map[string]float64 `json:"scores"`
		} `json:"data"`
	}
	if err := json.Unmarshal(msg.Data, &event); err != nil {
		t.Fatal(err)
	}
	if event.SpecVersion != "1.0" || event.Data.Conclusion != "success" {
		t.Errorf("pipeline.completed is %s", msg.Data)
	}
	if _, ok := event.Data.Scores["rouge_score"]; !ok {
		t.Errorf("scores %v have no rouge_score", event.Data.Scores)
	}
}

// wantMLflowRuns wants the parent run and a child run for each phase, all finished.
func wantMLflowRuns(t *testing.T, dir string) {
	t.Helper()
	metas, err := filepath.Glob(filepath.Join(dir, "*", "*", "meta.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range metas {
		body, err := os.ReadFile(m)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(body, []byte("status: 3")) { // FINISHED
			t.Errorf("%s has not finished:\n%s", m, body)
		}
		name, err := os.ReadFile(filepath.Join(filepath.Dir(m), "tags", "mlflow.runName"))
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, string(name))
	}
	slices.Sort(names)
	if want := []string{"separate", "separate_evaluation", "separate_finetuning", "separate_inferencing"}; !slices.Equal(names, want) {
		t.Errorf("MLflow runs %v, want %v", names, want)
	}
}

func wantReports(t *testing.T, dir string) {
	t.Helper()
	book, err := excelize.OpenFile(filepath.Join(dir, "evaluator_output_detailed.xlsx"))
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	if len(book.GetSheetList()) < 4 {
		t.Errorf("sheets %v", book.GetSheetList())
	}
	body, err := os.ReadFile(filepath.Join(dir, "pipeline_summary.json"))
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(body) {
		t.Errorf("pipeline_summary.json is no JSON: %.200s", body)
	}
}
