package view

import (
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// endedRun is a run of fine-tuning and evaluation whose phases ended as said.
func endedRun(how events.Conclusion, change func(*events.Run)) events.Run {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	phase := func(p events.Phase, c events.Conclusion) *events.PhaseState {
		return &events.PhaseState{
			Attempts:  []events.Attempt{{Number: 1, Started: &events.PhaseStarted{Attempt: 1, Worker: "w1"}}},
			Completed: &events.PhaseCompleted{Phase: p, Attempt: 1, Conclusion: c, StartedAt: at, EndedAt: at.Add(1500 * time.Millisecond)},
		}
	}
	run := events.Run{
		ID:        "r1",
		Accepted:  &events.PipelineAccepted{RunID: "r1", RunName: "nightly", Plan: []events.Step{{Phase: events.Finetune}, {Phase: events.Evaluation}}},
		Completed: &events.PipelineCompleted{RunID: "r1", Conclusion: how, DurationSeconds: 3},
		Phases:    map[events.Phase]*events.PhaseState{events.Finetune: phase(events.Finetune, events.Success)},
	}
	if how == events.Success {
		run.Phases[events.Evaluation] = phase(events.Evaluation, events.Success)
	}
	change(&run)
	return run
}

// TestRunEnd: what a person reads when a run has ended.
func TestRunEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		run    events.Run
		wants  []string
		absent []string
	}{
		"success": {
			endedRun(events.Success, func(r *events.Run) {
				r.Completed.Scores = map[string]float64{"rouge_score": 0.8, "bleu_score": 0.5}
				r.Completed.BaselineScores = map[string]float64{"rouge_score": 0.25}
				r.Completed.Gates = []events.Gate{{Metric: "rouge_score", AtLeast: 0.9, Score: 0.8}}
				r.Tracked = &events.TrackingCompleted{
					Links: map[string]string{"evaluator_output_detailed.xlsx": "/r/book.xlsx", "mlflow_pipeline": "file:///r/mlruns/1/2"}, Gaps: []string{"a gap"},
				}
			}),
			[]string{
				"nightly (r1): partial in 3.0 s: gate rouge_score was missed", "PHASE       STATUS   SECONDS  ATTEMPTS\nfinetune    success  1.5      1\nevaluation  success  1.5      1\n",
				"SCORE        BASE MODEL  TUNED MODEL\nbleu_score   -           0.500\nrouge_score  0.250       0.800\n",
				"GATE         SCORE  AT LEAST  MET\nrouge_score  0.800  0.900     no\n", "not tracked: a gap",
				"RESULT                          WHERE\nevaluator_output_detailed.xlsx  /r/book.xlsx\n", "Next:\n  open the workbook:\n    /r/book.xlsx\n",
				"mlflow migrate-filestore --source /r/mlruns --target ", "tunebus config init my-run.toml\n",
			},
			[]string{"ATTEMPT "},
		},
		"a phase whose end cannot be read": {
			endedRun(events.Failure, func(r *events.Run) { r.Phases[events.Finetune].Completed = nil }),
			[]string{"finetune    not ended    -        1\n", "evaluation  not started  -        -\n"}, []string{"running"},
		},
		"a phase that intake ended": {
			endedRun(events.Cancelled, func(r *events.Run) { r.Phases[events.Finetune].Attempts[0].Started.Worker = events.IntakeWorker }),
			[]string{"finetune    success      -        -\n"}, []string{"intake"},
		},
		"scores of a part of the rows": {
			endedRun(events.Success, func(r *events.Run) {
				r.Completed.Scores = map[string]float64{"exact_match": 0.8, "rouge_score": 0.5}
				r.Completed.BaselineScores = map[string]float64{"exact_match": 0.5, "rouge_score": 0.25}
				r.Completed.Coverage = map[string]events.Coverage{"exact_match": {Scored: 17, Rows: 20}, "rouge_score": {Scored: 20, Rows: 20}, "answer_accuracy": {Rows: 20}}
				r.Completed.BaselineCoverage = map[string]events.Coverage{"exact_match": {Scored: 16, Rows: 20}, "rouge_score": {Scored: 20, Rows: 20}}
				r.Completed.Gates = []events.Gate{{Metric: "exact_match", AtLeast: 0.5, Score: 0.8, Reason: "17 of 20 rows have the score, 100 % are needed"}}
			}),
			[]string{
				"SCORE            BASE MODEL        TUNED MODEL  ROWS\nanswer_accuracy  -                 -            0 of 20\n" +
					"exact_match      0.500 (16 of 20)  0.800        17 of 20\nrouge_score      0.250             0.500        20\n",
				"exact_match  0.800  0.500     no: 17 of 20 rows have the score, 100 % are needed\n",
			}, nil,
		},
		"nothing was trained": {
			endedRun(events.Success, func(r *events.Run) {
				r.Accepted.Plan = r.Accepted.Plan[1:]
				delete(r.Phases, events.Finetune)
				r.Completed.Scores = map[string]float64{"rouge_score": 0.8}
				r.Tracked = &events.TrackingCompleted{Links: map[string]string{"mlflow_pipeline": "http://mlflow:5000/#/1"}}
			}),
			[]string{"SCORE        MODEL\nrouge_score  0.800\n", "compare it in MLflow:\n    http://mlflow:5000/#/1"},
			[]string{"TUNED", "BASE MODEL", "migrate"},
		},
		"failure after a retry": {
			endedRun(events.Failure, func(r *events.Run) {
				p := r.Phases[events.Finetune]
				p.Attempts = []events.Attempt{
					{Number: 1, Started: &events.PhaseStarted{Phase: events.Finetune, Attempt: 1, Worker: "w1", StartedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)}, Ended: &events.AttemptEnded{Phase: events.Finetune, Attempt: 1, Reason: events.EndError, Error: &events.Problem{Code: "oom", Message: "out of memory"}}},
					{Number: 2, Started: &events.PhaseStarted{Phase: events.Finetune, Attempt: 2, Worker: "w2", ResumedFrom: 40}},
					{Number: 3, Started: &events.PhaseStarted{Phase: events.Finetune, Attempt: 3, Worker: "w1", ResumedFrom: 60}},
				}
				p.Completed.Attempt, p.Completed.Conclusion, p.Completed.Error = 3, events.Failure, &events.Problem{Message: "the disk is full"}
			}),
			[]string{
				"finetune    failure      1.5      3\nevaluation  not started  -        -\n",
				"ATTEMPT     OUTCOME  WORKER  FROM STEP  STARTED              SECONDS  ERROR\n",
				"finetune 1  error    w1      0          2026-01-02 03:04:05  -        oom: out of memory\n", "finetune 2  crashed  w2      40         -                    -\n",
				"finetune 3  failure  w1      60         2026-01-02 03:04:05  1.5      the disk is full\n",
				"mend what the error names, then:\n    tunebus run --config a.toml\n",
			},
			[]string{"use your own data", "finetune: the disk is full"},
		},
		"cancelled": {
			endedRun(events.Cancelled, func(*events.Run) {}), []string{"nightly (r1): cancelled in 3.0 s", "start it again:\n    tunebus run --config a.toml"}, []string{"SCORE"},
		},
		"under way": {
			endedRun(events.Success, func(r *events.Run) {
				r.Completed, r.Phases[events.Finetune].Completed = nil, nil
				delete(r.Phases, events.Evaluation)
			}),
			[]string{"nightly (r1): running\n", "finetune    running  -        1\nevaluation  waiting  -        -\n"}, []string{"Next", " in "},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b strings.Builder
			writeSummary(&b, c.run, runsummary.Of(c.run), runsummary.Attempts(c.run, 2), nil, runsummary.Retry{Command: "tunebus run --config a.toml"})
			for _, want := range c.wants {
				if !strings.Contains(b.String(), want) {
					t.Errorf("no %q in\n%s", want, b.String())
				}
			}
			for _, no := range c.absent {
				if strings.Contains(b.String(), no) {
					t.Errorf("%q in\n%s", no, b.String())
				}
			}
		})
	}
}
