package runcmd_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/requestlog"
)

// TestTooLargeIsRefused: a request whose run would have too large events is
// refused before it is sent, by every command that makes one, with what intake
// would say.
func TestTooLargeIsRefused(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	dir := t.TempDir()
	file := func(name, body string) string {
		clitest.Write(t, dir, name, body)
		return filepath.Join(dir, name)
	}
	long := func(n int) string {
		return file(fmt.Sprint(n, ".toml"), "[evaluator]\nhf_user_id = \""+strings.Repeat("h", n)+"\"")
	}
	metrics := func(name string) string {
		return file(name+".toml", "[evaluator]\nmetrics = ["+strings.TrimSuffix(strings.Repeat(`"`+name+`",`, 5000), ",")+"]")
	}
	short, longer := long(1_044_000), long(1_044_600)
	known, unknown := metrics("rouge_score"), metrics("no_such_metric")
	for _, c := range []struct {
		name string
		args []string
		says []string
	}{
		{"long text", []string{"--config", short}, []string{"1044000.toml:2:1: evaluator.hf_user_id: takes 1,044,002 bytes as JSON", "at most 32,768 are allowed"}},
		{"longer text", []string{"--config", longer}, []string{"evaluator.hf_user_id: takes 1,044,602 bytes as JSON", "at most 32,768 are allowed"}},
		{"metrics", []string{"--config", known}, []string{"evaluator.metrics: takes 70,001 bytes as JSON"}},
		{"unknown metrics", []string{"--config", unknown}, []string{"5,001 faults", "evaluator.metrics: takes 85,001 bytes as JSON", "request: … and 4,902 more faults"}},
		{"label", []string{"--label", "team=" + strings.Repeat("<", 175_000)}, []string{"labels.team: takes 1,050,006 bytes as JSON"}},
		{"run id", []string{"--run-id", strings.Repeat("r", 600_000)}, []string{"--run-id = rrr", "a run id has 1 to 64 letters", "not 600,000"}},
		{
			"all at once", []string{"--config", short, "--label", strings.Repeat("n", 201) + "=x", "--set", "mlflow.run_name=" + strings.Repeat("<", 40), "--set", "fine_tuner.epochs=0"},
			[]string{"4 faults", "evaluator.hf_user_id: takes", "the label's name takes 201 bytes", "run_name: takes 240 bytes", "fine_tuner.epochs = 0"},
		},
	} {
		for _, verb := range []string{"submit", "run", "config check"} {
			if verb == "config check" && c.name == "run id" {
				continue // it is no part of a specification
			}
			args := append(strings.Fields(verb), "--config", services.Dir+"/small.toml")
			switch verb {
			case "submit":
				args = append(args, "--server", services.URL, "--artifacts", services.Artifacts())
			case "run":
				args = append(args, clitest.Folders(dir)...)
			}
			status, out, screen := clitest.Run(t, append(args, c.args...)...)
			if status != 2 || out != "" || len(screen) > 100_000 {
				t.Errorf("%s of %s: status %d, %d bytes\n%s%.1000s", verb, c.name, status, len(screen), out, screen)
			}
			for _, want := range c.says {
				if !strings.Contains(screen, want) {
					t.Errorf("%s of %s says\n%.2000s\nwant %q in it", verb, c.name, screen, want)
				}
			}
		}
	}
	if n, err := requestlog.New(services.Bus).Latest(t.Context()); err != nil || n != 0 {
		t.Errorf("%d requests were sent, %v", n, err)
	}
}

// TestSameTextAsIntake: the command line and intake refuse a request with the
// same words.
func TestSameTextAsIntake(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	text := strings.Repeat("<", 6000)
	_, _, refused := clitest.Run(t, "submit", "--server", services.URL, "--skip-finetuning", "--skip-inference", "--predictions", services.Dir+"/answers.jsonl",
		"--set", "evaluator.hf_user_id="+text, "--label", "team="+strings.Repeat("x", 2000))
	nc, err := nats.Connect(services.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	body := `{"specification": {"pipeline": {"enable_finetuning": false, "enable_inference": false}, "evaluator": {"hf_user_id": "` + text + `"}},
		"labels": {"team": "` + strings.Repeat("x", 2000) + `"}}`
	if err := nc.Publish(events.TypePipelineRequested, []byte(body)); err != nil {
		t.Fatal(err)
	}
	rejected := services.Rejected(t, 1)
	if len(rejected.Faults) < 2 {
		t.Fatalf("faults %+v", rejected.Faults)
	}
	for _, f := range rejected.Faults[:2] {
		if want := f.Key + ": " + f.Message; !strings.Contains(refused, want) || f.Key == "request" {
			t.Errorf("submit says\n%s\nintake says\n%s", refused, want)
		}
	}
	// Intake goes on.
	if status, got, screen := services.Submit(t, nil, "--run-id", "next", "--skip-finetuning", "--skip-inference", "--predictions", services.Dir+"/answers.jsonl"); status != 0 || got.Status != string(events.Success) {
		t.Errorf("the next request: status %d\n%s", status, screen)
	}
}
