package cli_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/services/tracker/report"
	"github.com/tunebus/tunebus/services/tracker/report/pipelinesummary"
	"github.com/tunebus/tunebus/services/tracker/report/scores"
)

// small is a specification of seconds, with paths of its own folder.
const small = `[fine_tuner]
base_model_id = "base-model"
training_data_id = "rows.jsonl"
max_sequence_length = 64
rank = 2
epochs = 2
grad_accumulation = 1
warmup_steps = 1
[inferencer]
testing_data_id = "rows.jsonl"
temperature = 0.0
max_new_tokens = 4
baseline = true
[evaluator]
metrics = ["rouge_score", "key_fact"]
`

// rowsOfSmall is how many rows its data has.
const rowsOfSmall = 6

// desk is a folder with what the runs of a test are made from, and a server
// that they are submitted to.
type desk struct {
	dir, url string
	bus      *conn.Conn
}

func newDesk(t *testing.T) desk {
	t.Helper()
	d := desk{dir: t.TempDir()}
	quick, err := filepath.Abs("../../../../configs/quickstart")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(quick, "base-model"), filepath.Join(d.dir, "base-model")); err != nil {
		t.Fatal(err)
	}
	rows := strings.Split(text(t, filepath.Join(quick, "validation.jsonl")), "\n")[:rowsOfSmall]
	d.write(t, "rows.jsonl", strings.Join(rows, "\n"))
	d.write(t, "small.toml", small)
	d.write(t, "columns.jsonl", `{"prompt":"q","reply":"a"}`)
	d.write(t, "broken.jsonl", `{"question": "q", "answer"`)
	d.write(t, "answers.jsonl", `{"question":"Who?","ground_truth":"Ada did it.","answer":"Ada did it.","key_fact":"Ada"}
{"question":"Where?","ground_truth":"In Paris.","answer":"In Rome.","key_fact":"Paris"}`)
	d.write(t, "gate.toml", "[evaluator.gates]\nkey_fact_accuracy = 0.9")
	d.url = up(t, d.dir)
	d.bus = connected(t, conn.Options{URL: d.url, Name: "test"})
	return d
}

func (d desk) write(t *testing.T, name, body string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(d.dir, name), []byte(body+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// submit submits the small specification and waits until it is tracked; it
// calls meanwhile, if there is one, while it waits.
func (d desk) submit(t *testing.T, meanwhile func(*testing.T), args ...string) (status int, got summary, screen string) {
	t.Helper()
	var out string
	done := make(chan struct{})
	go func() {
		defer close(done)
		status, out, screen = tunebus(t, append([]string{
			"submit", "--json", "--wait=tracked", "--server", d.url, "--artifacts", "file://" + d.dir + "/data/artifacts", "--config", d.dir + "/small.toml",
		}, args...)...)
	}()
	if meanwhile != nil {
		meanwhile(t)
	}
	<-done
	if out == "" {
		t.Fatalf("status %d\n%s", status, screen)
	}
	return status, summaryOf(t, out), screen
}

// outcome is what has to be seen of a run everywhere.
type outcome struct {
	args []string
	// meanwhile happens while the run is waited for.
	meanwhile func(*testing.T)

	status     int
	conclusion string
	story      string
	// or is another story that is as good.
	or string
	// phases are the MLflow runs besides the parent, with their status.
	phases map[string]string
	// rows are those of the workbook; 0: there is none.
	rows int
	// fault is what the failed phase says, everywhere.
	fault string
}

const (
	began    = "pipeline.accepted "
	trained  = "finetune.requested finetune.started finetune.completed "
	answered = "inference.requested inference.started inference.completed "
	scored   = "evaluation.requested evaluation.started evaluation.completed "
	over     = "pipeline.completed tracking.completed"
)

// TestOutcomes: whatever becomes of a run, the exit status, the stream, the
// MLflow store, the workbook and the summaries tell the same of it.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	at := func(name string) string { return filepath.Join(d.dir, name) }
	cancel := func(t *testing.T, run string) {
		if status, out, screen := tunebus(t, "cancel", run, "--reason", "a test", "--server", d.url); status != 0 {
			t.Errorf("cancel: status %d\n%s%s", status, out, screen)
		}
	}
	for name, c := range map[string]outcome{
		"whole": {
			status: 0, conclusion: "success", story: began + trained + answered + scored + over,
			phases: map[string]string{"finetune": finished, "inference": finished, "evaluation": finished}, rows: rowsOfSmall,
		},
		"without fine-tuning": {
			args: []string{"--enable-finetuning=false"}, status: 0, conclusion: "success", story: began + answered + scored + over,
			phases: map[string]string{"inference": finished, "evaluation": finished}, rows: rowsOfSmall,
		},
		"stop after fine-tuning": {
			args: []string{"--stop-after-finetuning"}, status: 0, conclusion: "success", story: began + trained + over,
			phases: map[string]string{"finetune": finished},
		},
		"stop after inference": {
			args: []string{"--skip-finetuning", "--stop-after-inference"}, status: 0, conclusion: "success", story: began + answered + over,
			phases: map[string]string{"inference": finished},
		},
		"predictions instead of inference": {
			args: []string{"--skip-finetuning", "--skip-inference", "--predictions", at("answers.jsonl")}, status: 0, conclusion: "success", story: began + scored + over,
			phases: map[string]string{"evaluation": finished}, rows: 2,
		},
		"gate missed": {
			args: []string{"--skip-finetuning", "--skip-inference", "--predictions", at("answers.jsonl"), "--config", at("gate.toml")}, status: 4, conclusion: "success",
			story: began + scored + over, phases: map[string]string{"evaluation": finished}, rows: 2,
		},
		"fine-tuning fails": {
			args: []string{"--set", "fine_tuner.training_data_id=" + at("columns.jsonl")}, status: 3, conclusion: "failure", story: began + trained + over,
			phases: map[string]string{"finetune": failed}, fault: `no column "question"`,
		},
		"fine-tuning fails, the run goes on": {
			args: []string{"--set", "fine_tuner.training_data_id=" + at("columns.jsonl"), "--set", "pipeline.on_finetuning_failure=continue"}, status: 4, conclusion: "success",
			story: began + trained + answered + scored + over, phases: map[string]string{"finetune": failed, "inference": finished, "evaluation": finished},
			rows: rowsOfSmall, fault: `no column "question"`,
		},
		"inference fails": {
			args: []string{"--set", "inferencer.testing_data_id=" + at("columns.jsonl")}, status: 3, conclusion: "failure", story: began + trained + answered + over,
			phases: map[string]string{"finetune": finished, "inference": failed}, fault: `no column "question"`,
		},
		"evaluation fails": {
			args: []string{"--skip-inference", "--predictions", at("broken.jsonl")}, status: 3, conclusion: "failure", story: began + trained + scored + over,
			phases: map[string]string{"finetune": finished, "evaluation": failed}, fault: "predictions: line 1",
		},
		"cancelled in the queue": {
			args: []string{"--run-id", "queued", "--set", "fine_tuner.engine=trl"}, // nobody takes jobs of trl here
			meanwhile: func(t *testing.T) {
				waits := func() bool {
					_, out, _ := tunebus(t, "runs", "--server", d.url)
					return strings.Contains(out, "no worker for finetune/trl")
				}
				eventually(t, "it waits for a worker", waits)
				cancel(t, "queued")
			},
			status: 5, conclusion: "cancelled", story: began + "finetune.requested pipeline.cancel_requested finetune.started finetune.completed " + over,
			phases: map[string]string{"finetune": killed},
		},
		"cancelled while it runs": {
			args: []string{"--run-id", "running", "--set", "fine_tuner.epochs=1000000"},
			meanwhile: func(t *testing.T) {
				eventually(t, "it runs", func() bool {
					story, _ := facts(t, d.bus, "running")
					return strings.Contains(story, "finetune.started")
				})
				cancel(t, "running")
			},
			status: 5, conclusion: "cancelled", story: began + "finetune.requested finetune.started pipeline.cancel_requested finetune.completed " + over,
			// A holder that is slow to hear of it is not waited for.
			or:     began + "finetune.requested finetune.started pipeline.cancel_requested finetune.started finetune.completed " + over,
			phases: map[string]string{"finetune": killed},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d.check(t, c)
		})
	}
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	limit := time.After(3 * time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

func (d desk) check(t *testing.T, c outcome) {
	t.Helper()
	status, got, screen := d.submit(t, c.meanwhile, c.args...)
	if status != c.status || got.Status != c.conclusion || got.Pending || !strings.Contains(screen, c.fault) {
		t.Errorf("status %d, %+v, want %d, %s\n%s", status, got, c.status, c.conclusion, screen)
	}
	story, end := facts(t, d.bus, got.RunID)
	if story != c.story && story != c.or || string(end.Conclusion) != c.conclusion || !maps.Equal(end.Scores, got.Scores) {
		t.Errorf("the stream says %s with %v:\n%s\nwant\n%s", end.Conclusion, end.Scores, story, c.story)
	}
	d.inMLflow(t, c, got)
	d.inReports(t, c, got)
}

// inMLflow wants the parent run and a child for each phase that was begun.
func (d desk) inMLflow(t *testing.T, c outcome, got summary) {
	t.Helper()
	runs := mlflow(t, d.dir+"/mlruns", got.RunID)
	top, ok := runs["pipeline"]
	want := map[string]string{"success": finished, "failure": failed, "cancelled": killed}[c.conclusion]
	if !ok || top.status != want || top.parent != "" || top.name != got.RunName || len(runs) != 1+len(c.phases) {
		t.Errorf("MLflow has %d runs, the parent is %+v; want %d runs and status %s", len(runs), top, 1+len(c.phases), want)
	}
	if top.params["pipeline_success"] != fmt.Sprint(c.conclusion == "success") {
		t.Errorf("pipeline_success is %q", top.params["pipeline_success"])
	}
	if _, ok := top.metrics["pipeline_total_duration_seconds"]; !ok || !slices.Contains(top.artifacts, report.PipelineSummaryName) || !slices.Contains(top.artifacts, report.ConfigName) {
		t.Errorf("the parent has metrics %v and artifacts %v", top.metrics, top.artifacts)
	}
	suffix := map[string]string{"finetune": "_finetuning", "inference": "_inferencing", "evaluation": "_evaluation"}
	made := map[string][]string{
		"finetune": {"model.tar"}, "inference": {"inferencer_output.jsonl"}, "evaluation": {report.WorkbookName, report.SummaryName},
	}
	for phase, status := range c.phases {
		r := runs[phase]
		if r.status != status || r.parent != top.id || r.name != got.RunName+suffix[phase] {
			t.Errorf("MLflow's run of %s is %+v, want status %s", phase, r, status)
		}
		for _, name := range made[phase] {
			if slices.Contains(r.artifacts, name) != (status == finished) {
				t.Errorf("%s, which is %s, has the artifacts %v", phase, status, r.artifacts)
			}
		}
		if fault := r.params[suffix[phase][1:]+"_error"]; (status == failed) != (fault != "") || !strings.Contains(fault, c.fault) && status == failed {
			t.Errorf("%s, which is %s, has the error %q", phase, status, fault)
		}
		if phase == "finetune" && status == finished && (r.steps["loss"] < 2 || r.metrics["final_training_loss"] <= 0) {
			t.Errorf("fine-tuning has %d points of the loss and the metrics %v", r.steps["loss"], r.metrics)
		}
		if phase == "evaluation" && status == finished {
			for name, score := range got.Scores {
				if v, ok := r.metrics["eval_"+name]; !ok || v != score {
					t.Errorf("MLflow's eval_%s is %v, want %v", name, v, score)
				}
			}
		}
	}
}

// inReports wants the summaries, and the workbook where there are scores.
func (d desk) inReports(t *testing.T, c outcome, got summary) {
	t.Helper()
	dir := filepath.Join(d.dir, "reports", got.RunID)
	whole := object[pipelinesummary.Summary](t, filepath.Join(dir, report.PipelineSummaryName))
	if string(whole.Conclusion) != c.conclusion || whole.RunID != got.RunID || !maps.Equal(whole.Scores, got.Scores) {
		t.Errorf("%s says %s with %v", report.PipelineSummaryName, whole.Conclusion, whole.Scores)
	}
	for _, p := range whole.Phases {
		status := map[string]string{"": "waiting", finished: "success", failed: "failure", killed: "cancelled"}[c.phases[string(p.Phase)]]
		if string(p.Status) != status || (p.Error != nil) != (status == "failure") || p.Error != nil && !strings.Contains(p.Error.Message, c.fault) {
			t.Errorf("%s: %s is %s, %+v; want %s", report.PipelineSummaryName, p.Phase, p.Status, p.Error, status)
		}
	}
	if c.rows == 0 {
		for _, name := range []string{report.WorkbookName, report.SummaryName} {
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				t.Errorf("there is a %s of nothing", name)
			}
		}
		return
	}
	sums := object[scores.Summary](t, filepath.Join(dir, report.SummaryName))
	if sums.Rows != c.rows || !maps.Equal(sums.Scores, got.Scores) || len(got.Scores) == 0 {
		t.Errorf("%s has %d rows and %v, want %d and %v", report.SummaryName, sums.Rows, sums.Scores, c.rows, got.Scores)
	}
	inBook(t, filepath.Join(dir, report.WorkbookName), c.rows, got.Scores)
}
