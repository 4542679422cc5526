package repeatcmd_test

import (
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/requestlog"
)

// TestTooLargeRepetitions: a rerun and a replay are refused before they are sent
// if what they repeat is too large together with what they change.
func TestTooLargeRepetitions(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	half, long := strings.Repeat("h", 17_000), strings.Repeat("l", 40_000)
	evaluate := []string{"--skip-finetuning", "--skip-inference", "--predictions", services.Dir + "/answers.jsonl"}
	if status, _, screen := services.Submit(t, nil, append(evaluate, "--run-id", "old", "--set", "evaluator.hf_user_id="+half)...); status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	nc, err := nats.Connect(services.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	body := `{"run_id": "large", "specification": {"evaluator": {"hf_user_id": "` + long + `"}}}`
	if err := nc.Publish(events.TypePipelineRequested, []byte(body)); err != nil {
		t.Fatal(err)
	}
	if first := services.Rejected(t, 2).Faults[0]; first.Key != "evaluator.hf_user_id" {
		t.Errorf("the first fault is %+v", first)
	}
	var labels []string
	for i := range 17 {
		labels = append(labels, "--label", string(rune('a'+i))+"="+half[:1000])
	}
	for says, args := range map[string][]string{
		"inferencer.hf_user_id: takes 18,002 bytes": {"rerun", "old", "--set", "inferencer.hf_user_id=" + strings.Repeat("i", 18_000)},
		"labels: takes 17,":                         append([]string{"rerun", "old"}, labels...),
		"evaluator.queue: takes":                    {"rerun", "nobody", "--set", "evaluator.queue=" + long},
		"evaluator.llm: takes 18,00":                {"replay", "requests", "--from-seq", "1", "--to-seq", "1", "--set", "evaluator.llm=" + strings.Repeat("i", 18_000)},
		"evaluator.hf_user_id: takes 40,002 bytes as JSON; specification, labels, run name and plan together take": {"replay", "requests", "--from-seq", "1", "--rejected"},
	} {
		status, out, screen := clitest.Run(t, append(args, "--server", services.URL, "--artifacts", services.Artifacts())...)
		if status != 2 || out != "" || !strings.Contains(screen, says) || !strings.Contains(screen, "at most 32,768") {
			t.Errorf("%.80v: status %d\n%s%.2000s\nwant %q", args, status, out, screen, says)
		}
	}
	if n, err := requestlog.New(services.Bus).Latest(t.Context()); err != nil || n != 2 {
		t.Errorf("there are %d requests, want 2, %v", n, err)
	}
	// A request that is too large is left out where rejected ones are not asked for.
	status, rows, screen := replayRequests(t, services, "--from-seq", "1")
	if status != 0 || of(rows) != "1" || !strings.Contains(screen, "request 2 is left out: it was rejected") {
		t.Errorf("status %d, %s\n%s", status, of(rows), screen)
	}
}
