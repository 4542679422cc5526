package runcmd_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/services/tracker/report/pipelinesummary"
	"github.com/tunebus/tunebus/services/tracker/report/scores"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/services/tracker/report"
)

// outcome is what the exit status, the stream, MLflow and the reports have to
// show of a run.
type outcome struct {
	args []string
	// meanwhile happens while the run is waited for.
	meanwhile func(*testing.T)

	status     int
	conclusion string
	// facts are the types of the run's facts, and or another order that is as
	// good.
	facts, or string
	// phases are the MLflow runs besides the parent, with their status.
	phases map[string]string
	// rows are those of the workbook; 0: there is none.
	rows int
	// fault is what the failed phase says, everywhere.
	fault string
}

// TestOutcomes: however a run ends, the exit status, the stream, the MLflow
// store, the workbook and the summaries agree.
func TestOutcomes(t *testing.T) {
	t.Parallel()
	services := clitest.NewServices(t)
	at := func(name string) string { return filepath.Join(services.Dir, name) }
	cancel := func(t *testing.T, run string) {
		if status, out, screen := clitest.Run(t, "cancel", run, "--reason", "a test", "--server", services.URL); status != 0 {
			t.Errorf("cancel: status %d\n%s%s", status, out, screen)
		}
	}
	for name, c := range map[string]outcome{
		"whole": {
			status: 0, conclusion: "success", facts: clitest.FactsBegin + clitest.FactsFinetune + clitest.FactsInference + clitest.FactsEvaluation + clitest.FactsEnd,
			phases: map[string]string{"finetune": clitest.MLflowFinished, "inference": clitest.MLflowFinished, "evaluation": clitest.MLflowFinished}, rows: clitest.SmallRows,
		},
		"without fine-tuning": {
			args: []string{"--enable-finetuning=false"}, status: 0, conclusion: "success", facts: clitest.FactsBegin + clitest.FactsInference + clitest.FactsEvaluation + clitest.FactsEnd,
			phases: map[string]string{"inference": clitest.MLflowFinished, "evaluation": clitest.MLflowFinished}, rows: clitest.SmallRows,
		},
		"stop after fine-tuning": {
			args: []string{"--stop-after-finetuning"}, status: 0, conclusion: "success", facts: clitest.FactsBegin + clitest.FactsFinetune + clitest.FactsEnd,
			phases: map[string]string{"finetune": clitest.MLflowFinished},
		},
		"stop after inference": {
			args: []string{"--skip-finetuning", "--stop-after-inference"}, status: 0, conclusion: "success", facts: clitest.FactsBegin + clitest.FactsInference + clitest.FactsEnd,
			phases: map[string]string{"inference": clitest.MLflowFinished},
		},
		"predictions instead of inference": {
			args: []string{"--predictions", at("answers.jsonl")}, status: 0, conclusion: "success", facts: clitest.FactsBegin + clitest.FactsEvaluation + clitest.FactsEnd,
			phases: map[string]string{"evaluation": clitest.MLflowFinished}, rows: 2,
		},
		"gate missed": {
			args: []string{"--skip-finetuning", "--skip-inference", "--predictions", at("answers.jsonl"), "--config", at("gate.toml")}, status: 4, conclusion: "success",
			facts: clitest.FactsBegin + clitest.FactsEvaluation + clitest.FactsEnd, phases: map[string]string{"evaluation": clitest.MLflowFinished}, rows: 2,
		},
		"fine-tuning fails": {
			args: []string{"--set", "fine_tuner.learning_rate=1e30"}, status: 3, conclusion: "failure", facts: clitest.FactsBegin + clitest.FactsFinetune + clitest.FactsEnd,
			phases: map[string]string{"finetune": clitest.MLflowFailed}, fault: "fine_tuner.learning_rate = 1e+30",
		},
		"fine-tuning fails, the run goes on": {
			args: []string{"--set", "fine_tuner.learning_rate=1e30", "--set", "pipeline.on_finetuning_failure=continue"}, status: 4, conclusion: "success",
			facts: clitest.FactsBegin + clitest.FactsFinetune + clitest.FactsInference + clitest.FactsEvaluation + clitest.FactsEnd, phases: map[string]string{"finetune": clitest.MLflowFailed, "inference": clitest.MLflowFinished, "evaluation": clitest.MLflowFinished},
			rows: clitest.SmallRows, fault: "fine_tuner.learning_rate = 1e+30",
		},
		"inference fails": {
			args: []string{"--set", "inferencer.testing_data_id=nobody/nothing", "--set", "pipeline.max_tries=1"}, status: 3, conclusion: "failure", facts: clitest.FactsBegin + clitest.FactsFinetune + clitest.FactsInference + clitest.FactsEnd,
			phases: map[string]string{"finetune": clitest.MLflowFinished, "inference": clitest.MLflowFailed}, fault: "nobody/nothing",
		},
		"evaluation fails": {
			args: []string{"--enable-finetuning", "--predictions", at("answers.jsonl"), "--baseline-predictions", at("other-answers.jsonl")}, status: 3, conclusion: "failure", facts: clitest.FactsBegin + clitest.FactsFinetune + clitest.FactsEvaluation + clitest.FactsEnd,
			phases: map[string]string{"finetune": clitest.MLflowFinished, "evaluation": clitest.MLflowFailed}, fault: "do not belong to the same rows",
		},
		"cancelled in the queue": {
			args: []string{"--run-id", "queued", "--set", "fine_tuner.engine=trl"}, // nobody takes jobs of trl here
			meanwhile: func(t *testing.T) {
				waits := func() bool {
					_, out, _ := clitest.Run(t, "runs", "--server", services.URL)
					return strings.Contains(out, "waits for a worker of finetune/trl: none has been seen")
				}
				clitest.Eventually(t, "it waits for a worker", waits)
				clitest.Eventually(t, "watch and show say so", func() bool {
					const says = "waits for a worker of finetune/trl: none has been seen"
					_, _, watched := clitest.Run(t, "watch", "queued", "--timeout", "5s", "--server", services.URL)
					_, shown, _ := clitest.Run(t, "show", "queued", "--server", services.URL)
					_, object, _ := clitest.Run(t, "show", "queued", "--json", "--server", services.URL)
					return strings.Contains(watched, says) && strings.Contains(shown, says) && strings.Contains(object, `"waits_for_worker_of": "finetune/trl"`)
				})
				cancel(t, "queued")
			},
			fault: "waits for a worker of finetune/trl: none has been seen", status: 5, conclusion: "cancelled", facts: clitest.FactsBegin + "finetune.requested pipeline.cancel_requested finetune.started finetune.completed " + clitest.FactsEnd,
			phases: map[string]string{"finetune": clitest.MLflowKilled},
		},
		"cancelled while it runs": {
			args: []string{"--run-id", "running", "--set", "fine_tuner.epochs=1000000"},
			meanwhile: func(t *testing.T) {
				clitest.Eventually(t, "it runs", func() bool {
					facts, _ := clitest.FactTypes(t, services.Bus, "running")
					return strings.Contains(facts, "finetune.started")
				})
				cancel(t, "running")
			},
			status: 5, conclusion: "cancelled", facts: clitest.FactsBegin + "finetune.requested finetune.started pipeline.cancel_requested finetune.completed " + clitest.FactsEnd,
			// Intake does not wait for a worker that hears of it late.
			or:     clitest.FactsBegin + "finetune.requested finetune.started pipeline.cancel_requested finetune.started finetune.completed " + clitest.FactsEnd,
			phases: map[string]string{"finetune": clitest.MLflowKilled},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, services, c)
		})
	}
}

// check runs one case.
func check(t *testing.T, services clitest.Services, c outcome) {
	t.Helper()
	status, got, screen := services.Submit(t, c.meanwhile, c.args...)
	word := c.conclusion
	if c.status == 4 {
		word = "partial"
	}
	if status != c.status || got.Status != word || got.Pending || !strings.Contains(screen, c.fault) {
		t.Errorf("status %d, %+v, want %d, %s\n%s", status, got, c.status, c.conclusion, screen)
	}
	facts, end := clitest.FactTypes(t, services.Bus, got.RunID)
	if facts != c.facts && facts != c.or || string(end.Conclusion) != c.conclusion || !maps.Equal(end.Scores, got.Scores) {
		t.Errorf("the stream says %s with %v:\n%s\nwant\n%s", end.Conclusion, end.Scores, facts, c.facts)
	}
	checkMLflow(t, services, c, got)
	checkReports(t, services, c, got)
}

// checkMLflow wants the parent run and a child for each phase that was begun.
func checkMLflow(t *testing.T, services clitest.Services, c outcome, got clitest.Summary) {
	t.Helper()
	runs := clitest.MLflowRuns(t, services.Dir+"/mlruns", got.RunID)
	top, ok := runs["pipeline"]
	want := map[string]string{"success": clitest.MLflowFinished, "failure": clitest.MLflowFailed, "cancelled": clitest.MLflowKilled}[c.conclusion]
	if !ok || top.Status != want || top.Parent != "" || top.Name != got.RunName || len(runs) != 1+len(c.phases) {
		t.Errorf("MLflow has %d runs, the parent is %+v; want %d runs and status %s", len(runs), top, 1+len(c.phases), want)
	}
	if top.Params["pipeline_success"] != fmt.Sprint(c.conclusion == "success") {
		t.Errorf("pipeline_success is %q", top.Params["pipeline_success"])
	}
	if _, ok := top.Metrics["pipeline_total_duration_seconds"]; !ok || !slices.Contains(top.Artifacts, report.PipelineSummaryName) || !slices.Contains(top.Artifacts, report.ConfigName) {
		t.Errorf("the parent has metrics %v and artifacts %v", top.Metrics, top.Artifacts)
	}
	suffix := map[string]string{"finetune": "_finetuning", "inference": "_inferencing", "evaluation": "_evaluation"}
	made := map[string][]string{
		"finetune": {"model/MLmodel", "model/peft/adapter_config.json"}, "inference": {"inferencer_output.jsonl"}, "evaluation": {report.WorkbookName, report.SummaryName},
	}
	for phase, status := range c.phases {
		r := runs[phase]
		if r.Status != status || r.Parent != top.ID || r.Name != got.RunName+suffix[phase] {
			t.Errorf("MLflow's run of %s is %+v, want status %s", phase, r, status)
		}
		for _, name := range made[phase] {
			if slices.Contains(r.Artifacts, name) != (status == clitest.MLflowFinished) {
				t.Errorf("%s, which is %s, has the artifacts %v", phase, status, r.Artifacts)
			}
		}
		if fault := r.Params[suffix[phase][1:]+"_error"]; (status == clitest.MLflowFailed) != (fault != "") || !strings.Contains(fault, c.fault) && status == clitest.MLflowFailed {
			t.Errorf("%s, which is %s, has the error %q", phase, status, fault)
		}
		if phase == "finetune" && status == clitest.MLflowFinished && (r.Steps["loss"] < 2 || r.Metrics["final_training_loss"] <= 0) {
			t.Errorf("fine-tuning has %d points of the loss and the metrics %v", r.Steps["loss"], r.Metrics)
		}
		if phase == "evaluation" && status == clitest.MLflowFinished {
			for name, score := range got.Scores {
				if v, ok := r.Metrics["eval_"+name]; !ok || v != score {
					t.Errorf("MLflow's eval_%s is %v, want %v", name, v, score)
				}
			}
		}
	}
}

// checkReports wants the summaries, and the workbook where there are scores.
func checkReports(t *testing.T, services clitest.Services, c outcome, got clitest.Summary) {
	t.Helper()
	dir := filepath.Join(services.Dir, "reports", got.RunID)
	whole := clitest.Object[pipelinesummary.Summary](t, filepath.Join(dir, report.PipelineSummaryName))
	if string(whole.Conclusion) != c.conclusion || whole.RunID != got.RunID || !maps.Equal(whole.Scores, got.Scores) {
		t.Errorf("%s says %s with %v", report.PipelineSummaryName, whole.Conclusion, whole.Scores)
	}
	for _, p := range whole.Phases {
		status := map[string]string{
			"": "not started", clitest.MLflowFinished: "success", clitest.MLflowFailed: "failure", clitest.MLflowKilled: "cancelled",
		}[c.phases[string(p.Phase)]]
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
	sums := clitest.Object[scores.Summary](t, filepath.Join(dir, report.SummaryName))
	if sums.Rows != c.rows || !maps.Equal(sums.Scores, got.Scores) || len(got.Scores) == 0 {
		t.Errorf("%s has %d rows and %v, want %d and %v", report.SummaryName, sums.Rows, sums.Scores, c.rows, got.Scores)
	}
	clitest.InWorkbook(t, filepath.Join(dir, report.WorkbookName), c.rows, got.Scores)
}
