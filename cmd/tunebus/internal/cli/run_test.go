package cli_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli"
	"github.com/tunebus/tunebus/embedded"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
)

// quickstart is the committed one.
const quickstart = "../../../../configs/quickstart.toml"

// tunebus runs a command and returns its exit status, stdout and stderr.
func tunebus(t *testing.T, args ...string) (status int, out, screen string) {
	t.Helper()
	var o, s bytes.Buffer
	status = cli.Main(t.Context(), args, &o, &s)
	return status, o.String(), s.String()
}

// folders are flags that keep a run inside a folder of the test.
func folders(dir string) []string {
	return []string{"--data", dir + "/data", "--reports", dir + "/reports", "--tracking-uri", "file:" + dir + "/mlruns", "--relaxed-sync"}
}

func TestQuickstartFromStartToEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	// "make run" does all of it; here it learns one small file.
	short := []string{"run", "--json", "--config", quickstart, "--set", "fine_tuner.epochs=1", "--set", "fine_tuner.training_data_id=../../../../configs/quickstart/test.jsonl"}
	status, out, screen := tunebus(t, append(short, folders(dir)...)...)
	if status != 0 {
		t.Fatalf("status %d\n%s", status, screen)
	}
	got := summaryOf(t, out)
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
	inBook(t, got.Links["evaluator_output_detailed.xlsx"], 128, got.Scores)
	story, end := facts(t, afterwards(t, dir+"/data"), got.RunID)
	if story != began+trained+answered+scored+over || !maps.Equal(end.BaselineScores, got.Baseline) {
		t.Errorf("the stream says %s, and of the base model %v", story, end.BaselineScores)
	}
	runs := mlflow(t, dir+"/mlruns", got.RunID)
	if len(runs) != 4 || runs["finetune"].steps["loss"] < 10 || runs["evaluation"].metrics["baseline_eval_rouge_score"] != got.Baseline["rouge_score"] {
		t.Errorf("MLflow has %+v", runs)
	}
}

// afterwards is the server of a data folder that nobody uses any more.
func afterwards(t *testing.T, data string) *conn.Conn {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Options{Dir: filepath.Join(data, "nats"), RelaxedSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
	})
	return connected(t, conn.Options{InProcess: s, Name: "test"})
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
		args := []string{"--config", quickstart}
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
		"no such column":       {set("fine_tuner.training_data_id=" + columns), 3, []string{"question", "prompt", "reply"}},
		"empty data":           {set("fine_tuner.training_data_id=" + empty), 3, []string{"training_data_id"}},
		"truncated model":      {set("fine_tuner.base_model_id=" + dir + "/broken"), 3, []string{"model.safetensors", "truncated"}},
		"unknown architecture": {set("fine_tuner.base_model_id=" + dir + "/unknown"), 3, []string{"mamba"}},
		"unknown queue":        {set("fine_tuner.queue=nobody"), 2, []string{"nobody"}},
		"unknown flag":         {[]string{"--colour"}, 2, []string{"colour"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, _, screen := tunebus(t, append(append([]string{"run"}, c.args...), folders(t.TempDir())...)...)
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

func TestUnreachableServer(t *testing.T) {
	t.Parallel()
	status, _, screen := tunebus(t, "runs", "--server", "nats://user:hush@127.0.0.1:1")
	if status != 1 || !strings.Contains(screen, "127.0.0.1:1") || strings.Contains(screen, "hush") {
		t.Errorf("status %d\n%s", status, screen)
	}
}
