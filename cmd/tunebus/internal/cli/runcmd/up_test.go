package runcmd_test

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// TestBareRequestStartsARun publishes plain JSON with a plain NATS client, as
// "nats pub" does.
func TestBareRequestStartsARun(t *testing.T) {
	t.Chdir(clitest.Root())
	url := clitest.Up(t, t.TempDir())
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	completed, err := nc.SubscribeSync("pipeline.completed.*")
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"specification": {
		"fine_tuner": {"base_model_id": "configs/quickstart/base-model", "training_data_id": "configs/quickstart/validation.jsonl", "full_finetuning": true, "epochs": 1},
		"inferencer": {"testing_data_id": "configs/quickstart/validation.jsonl", "temperature": 0, "max_new_tokens": 8},
		"evaluator": {"metrics": ["exact_match"]}}}`
	if err := nc.Publish("pipeline.requested", []byte(body)); err != nil {
		t.Fatal(err)
	}
	msg, err := completed.NextMsg(3 * time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var event struct {
		Type string `json:"type"`
		Data struct {
			RunID      string `json:"run_id"`
			Conclusion string `json:"conclusion"`
		} `json:"data"`
	}
	if err := json.Unmarshal(msg.Data, &event); err != nil {
		t.Fatal(err)
	}
	if event.Type != "pipeline.completed" || event.Data.Conclusion != "success" {
		t.Fatalf("the run ended with %s", msg.Data)
	}
	if !strings.HasSuffix(msg.Subject, "."+event.Data.RunID) {
		t.Errorf("run %s completed on %s", event.Data.RunID, msg.Subject)
	}
	if status, out, screen := clitest.Run(t, "runs", "--server", url); status != 0 || !strings.Contains(out, event.Data.RunID) {
		t.Errorf("runs: status %d\n%s%s", status, out, screen)
	}
	if status, out, screen := clitest.Run(t, "show", event.Data.RunID, "--server", url); status != 0 || !strings.Contains(out, "success") {
		t.Errorf("show: status %d\n%s%s", status, out, screen)
	}
	if status, out, screen := clitest.Run(t, "doctor", "--server", url); status != 0 || !strings.Contains(out, "TUNEBUS") {
		t.Errorf("doctor: status %d\n%s%s", status, out, screen)
	}
}

// TestRequestOutsideOfTheRootsIsRejected: a bare request may not name files
// elsewhere on the machine.
func TestRequestOutsideOfTheRootsIsRejected(t *testing.T) {
	url := clitest.Up(t, t.TempDir())
	nc, err := nats.Connect(url)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	rejected, err := nc.SubscribeSync("pipeline.rejected.*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/etc/passwd", "../../../../../configs/quickstart/test.jsonl"} {
		body := `{"specification": {"fine_tuner": {"base_model_id": "owner/model", "training_data_id": "` + path + `"}, "inferencer": {"testing_data_id": "owner/data"}}}`
		if err := nc.Publish("pipeline.requested", []byte(body)); err != nil {
			t.Fatal(err)
		}
		msg, err := rejected.NextMsg(20 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(msg.Data), "fine_tuner.training_data_id") {
			t.Errorf("%s: %s", path, msg.Data)
		}
	}
}

func TestDataFolderInUse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := clitest.Up(t, dir)
	status, _, screen := clitest.Run(t, append([]string{"up", "--port", "0"}, clitest.Folders(dir)...)...)
	if status != 2 || !strings.Contains(screen, "works on the data folder") {
		t.Errorf("data folder in use: status %d\n%s", status, screen)
	}
	port := url[strings.LastIndexByte(url, ':')+1:]
	status, _, screen = clitest.Run(t, append([]string{"up", "--port", port}, clitest.Folders(t.TempDir())...)...)
	if status != 2 || !strings.Contains(screen, "port is taken") {
		t.Errorf("port in use: status %d\n%s", status, screen)
	}
}

// TestUpNews: a line for each step of each run, and for a rejected request; and a
// submit beside it finds address and store by itself.
func TestUpNews(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir()) // no other up is found
	t.Setenv("NATS_URL", "")
	dir := t.TempDir()
	t.Chdir(dir)
	quick := filepath.Join(clitest.Root(), "configs", "quickstart")
	specification := "[fine_tuner]\nbase_model_id = \"" + quick + "/base-model\"\ntraining_data_id = \"" + quick + "/validation.jsonl\"\nepochs = 1\n" +
		"[inferencer]\ntesting_data_id = \"" + quick + "/validation.jsonl\"\nmax_new_tokens = 2\n[evaluator]\nmetrics = [\"rouge_score\"]\n"
	clitest.Write(t, dir, "run.toml", specification)
	_, screen := clitest.UpWithScreen(t, dir)
	status, _, text := clitest.Run(t, "submit", "run.toml", "--run-id", "one", "--set", "mlflow.run_name=nightly", "--wait=tracked")
	if status != 0 || !strings.Contains(text, "this works on the up at") {
		t.Fatalf("submit: status %d\n%s", status, text)
	}
	if status, _, text := clitest.Run(t, "submit", "run.toml", "--run-id", "one"); status != 2 || !strings.Contains(text, "exists already") {
		t.Errorf("submit with a taken id: status %d\n%s", status, text)
	}
	for _, line := range []string{
		"nightly (one): accepted, 3 phases", "nightly (one): finetune started", "nightly (one): finetune done in ", ", loss ",
		"nightly (one): inference done in ", "nightly (one): evaluation done in ", ", rouge_score 0.", "nightly (one): success in ",
		`request 2 (one) is rejected: run_id "one": a run with this id exists already`,
	} {
		clitest.Eventually(t, "the line "+line, func() bool { return strings.Contains(screen(), line) })
		if n := strings.Count(screen(), line); n != 1 {
			t.Errorf("%q stands %d times in\n%s", line, n, screen())
		}
	}
}
