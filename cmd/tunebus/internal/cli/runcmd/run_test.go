package runcmd_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/embedded/bustest"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

func TestQuickstartFromStartToEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// "make run" does all of it; here it learns one small file.
	short := []string{"run", "--json", "--config", clitest.Quickstart(), "--set", "fine_tuner.epochs=1", "--set", "fine_tuner.training_data_id=../../../../../configs/quickstart/test.jsonl"}
	status, out, screen := clitest.Run(t, append(short, clitest.Folders(dir)...)...)
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	got := clitest.ReadSummary(t, out)
	if got.Status != "success" || got.Pending {
		t.Errorf("status %s, tracking pending %t", got.Status, got.Pending)
	}
	for _, name := range []string{"rouge_score", "key_fact_accuracy", "bleu_score", "exact_match", "token_f1", "chrf"} {
		if _, ok := got.Scores[name]; !ok {
			t.Errorf("no score %s", name)
		}
		if _, ok := got.Baseline[name]; !ok {
			t.Errorf("no score %s of the base model", name)
		}
	}
	summary := clitest.Object[struct {
		Export string `json:"export"`
	}](t, got.Links["pipeline_summary.json"])
	if !strings.HasSuffix(summary.Export, " --data "+dir+"/data") {
		t.Errorf("the command that takes the model out: %s", summary.Export)
	}
	clitest.InWorkbook(t, got.Links["evaluator_output_detailed.xlsx"], 128, got.Scores)
	facts, end := clitest.FactTypes(t, startOn(t, dir+"/data"), got.RunID)
	if facts != clitest.FactsBegin+clitest.FactsFinetune+clitest.FactsInference+clitest.FactsEvaluation+clitest.FactsEnd || !maps.Equal(end.BaselineScores, got.Baseline) {
		t.Errorf("the stream says %s, and of the base model %v", facts, end.BaselineScores)
	}
	runs := clitest.MLflowRuns(t, dir+"/mlruns", got.RunID)
	if len(runs) != 4 || runs["finetune"].Steps["loss"] < 10 || runs["evaluation"].Metrics["baseline_eval_rouge_score"] != got.Baseline["rouge_score"] {
		t.Errorf("MLflow has %+v", runs)
	}
}

// startOn starts a server on a data folder that is not in use any more, and
// connects to it.
func startOn(t *testing.T, data string) *conn.Conn {
	t.Helper()
	server := bustest.Start(t, embedded.Options{Dir: filepath.Join(data, "nats"), RelaxedSync: true})
	return clitest.Connect(t, conn.Options{InProcess: server, Name: "test"})
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, body string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ten := write("ten.toml", `[fine_tuner]
epochs = 0
rnk = 3
learning_rate = "fast"
lr_scheduler_type = "zigzag"
load_in_4bit = true
load_in_8bit = true
rank = -1
[inferencer]
top_p = 2.0
max_new_tokens = 0
[evaluator]
metrics = ["rouge_scor"]
[pipline]
enable = true
`)
	write("broken/config.json", `{"model_type":"llama","vocab_size":8,"hidden_size":8,"intermediate_size":8,"num_hidden_layers":1,"num_attention_heads":1}`)
	write("broken/tokenizer.json", `{"model":{"type":"BPE","vocab":{"a":0},"merges":[]},"pre_tokenizer":{"type":"ByteLevel"}}`)
	write("broken/tokenizer_config.json", `{"chat_template":"{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"}`)
	write("broken/model.safetensors", "\x40\x00\x00\x00\x00\x00\x00\x00{\"a\":")
	write("unknown/config.json", `{"model_type":"mamba"}`)
	for _, f := range []string{"tokenizer.json", "tokenizer_config.json"} {
		body, err := os.ReadFile(dir + "/broken/" + f)
		if err != nil {
			t.Fatal(err)
		}
		write("unknown/"+f, string(body))
	}
	empty := write("empty.jsonl", "")
	columns := write("columns.jsonl", `{"prompt":"q","reply":"a"}`+"\n")
	set := func(values ...string) []string {
		args := []string{"--config", clitest.Quickstart()}
		for _, v := range values {
			args = append(args, "--set", v)
		}
		return args
	}
	for name, c := range map[string]struct {
		args   []string
		status int
		says   []string
	}{
		"ten faults": {[]string{"--config", ten}, 2, []string{
			"epochs", `did you mean "rank"`, "learning_rate", "lr_scheduler_type", "load_in_8bit", "fine_tuner.rank", "top_p", "max_new_tokens", `did you mean "rouge_score"`, `did you mean "pipeline"`, "ten.toml:3:1",
		}},
		"missing file":         {[]string{"--config", dir + "/none.toml"}, 2, []string{"none.toml"}},
		"missing data":         {set("fine_tuner.training_data_id=nothing.jsonl"), 2, []string{"training_data_id", "nothing.jsonl"}},
		"no such column":       {set("fine_tuner.training_data_id=" + columns), 2, []string{"question", "prompt", "reply"}},
		"empty data":           {set("fine_tuner.training_data_id=" + empty), 2, []string{"training_data_id"}},
		"truncated model":      {set("fine_tuner.base_model_id=" + dir + "/broken"), 2, []string{"model.safetensors", "truncated"}},
		"unknown architecture": {set("fine_tuner.base_model_id=" + dir + "/unknown"), 2, []string{"mamba"}},
		"unknown queue":        {set("fine_tuner.queue=nobody"), 2, []string{"nobody"}},
		"engine of no worker":  {set("inferencer.engine=openai"), 2, []string{"inferencer.engine", `"openai"`, `"builtin"`}},
		"unknown flag":         {[]string{"--colour"}, 2, []string{"colour"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, _, screen := clitest.Run(t, append(append([]string{"run"}, c.args...), clitest.Folders(t.TempDir())...)...)
			if status != c.status {
				t.Errorf("status %d, want %d\n%s", status, c.status, screen)
			}
			for _, s := range c.says {
				if !strings.Contains(screen, s) {
					t.Errorf("says nothing of %q:\n%s", s, screen)
				}
			}
		})
	}
}
