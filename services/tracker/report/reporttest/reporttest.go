// Package reporttest is one run with its scores, for the tests of the reports.
package reporttest

import (
	"context"
	"io"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/report/scores"
)

// Began is when the run began.
var Began = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// Run is a run that succeeded, with a second attempt at fine-tuning.
func Run() events.Run {
	facts := []events.Fact{
		events.PipelineAccepted{
			RunID: "01RUN", RunName: "nightly", RequestedAt: Began,
			Plan:    []events.Step{{Phase: events.Finetune, Queue: "builtin"}, {Phase: events.Inference, Queue: "builtin"}, {Phase: events.Evaluation, Queue: "builtin"}},
			Labels:  map[string]string{"team": "a<b"},
			Lineage: events.Lineage{RequestSequence: 7, RerunOf: "01OLD"},
		},
		events.PhaseStarted{RunID: "01RUN", Phase: events.Finetune, Attempt: 1, Worker: "one", Engine: "builtin"},
		events.AttemptEnded{RunID: "01RUN", Phase: events.Finetune, Attempt: 1, Reason: events.EndShutdown, LastStep: 20},
		events.PhaseStarted{RunID: "01RUN", Phase: events.Finetune, Attempt: 2, Worker: "two", Engine: "builtin", ResumedFrom: 20},
		events.PhaseCompleted{
			RunID: "01RUN", Phase: events.Finetune, Attempt: 2, Conclusion: events.Success,
			StartedAt: Began, EndedAt: Began.Add(90 * time.Second), Statistics: map[string]float64{"final_training_loss": 0.5},
			Artifacts: []events.Artifact{{Name: "model", Reference: events.Reference{Store: "s", Key: "k", Size: 3, SHA256: "ab"}}},
		},
		events.PhaseCompleted{
			RunID: "01RUN", Phase: events.Evaluation, Attempt: 1, Conclusion: events.Success,
			StartedAt: Began.Add(2 * time.Minute), EndedAt: Began.Add(3 * time.Minute),
			Scores:         map[string]float64{"rouge_score": 0.75, "key_fact_accuracy": 0.5, "corpus": 40},
			BaselineScores: map[string]float64{"rouge_score": 0.25},
			Gates:          []events.Gate{{Metric: "rouge_score", AtLeast: 0.7, Score: 0.75, Met: true}},
		},
		events.PipelineCompleted{
			RunID: "01RUN", Conclusion: events.Success, StartedAt: Began, EndedAt: Began.Add(3 * time.Minute), DurationSeconds: 180,
		},
	}
	return events.Fold(facts)
}

// Scores is the scores artifact of the run: rows with and without scores, key
// facts and errors, and texts that look like formulas.
const Scores = `{"index":0,"question":"=1+2","ground_truth":"+3","answer":"-3","baseline_answer":"@SUM(A1)","key_fact":"3","scores":{"rouge_score":0.8,"chrf":80},"baseline_scores":{"rouge_score":0.2,"chrf":20}}
{"index":1,"question":"Who?","ground_truth":"Ada Lovelace","answer":"  ","baseline_answer":"Bob","key_fact":"Ada","scores":{"rouge_score":0,"chrf":0},"baseline_scores":{"rouge_score":0.1,"chrf":12}}

{"index":2,"question":"Where?","ground_truth":"In Paris","answer":"in  PARIS\u0007","baseline_answer":"?","key_fact":"in paris","scores":{"rouge_score":1.0000000000000004,"chrf":null},"baseline_scores":{}}
{"index":3,"question":"Why?","ground_truth":"Because","answer":"","scores":{},"error":"model: out of memory"}
{"index":4,"question":"How?","ground_truth":"Fast","answer":"slow","key_fact":"Fast","scores":{"rouge_score":0.4,"chrf":31,"key_fact_accuracy":0}}`

// Losses is the metric history of its fine-tuning.
const Losses = `{"key":"loss","value":2.5,"step":1}
{"key":"learning_rate","value":0.1,"step":1}
{"key":"loss","value":1.5,"step":2}
{"key":"eval_loss","value":1.75,"step":2}`

// Unscored are rows without a truth, without an answer, and with a judge that was
// away.
const Unscored = `{"index":0,"question":"q0","ground_truth":"t","references":["t","u"],"answer":"t","scores":{"exact_match":1,"rouge_score":1,"rouge1":1},"unscored":{"answer_accuracy":"the judge is away"},"baseline_answer":"t","baseline_scores":{"exact_match":1},"baseline_unscored":{"answer_accuracy":"the judge is away"}}
{"index":1,"question":"q1","ground_truth":"","answer":"x","unscored":{"answer_accuracy":"the row has no ground truth","exact_match":"the row has no ground truth","rouge_score":"the row has no ground truth"},"baseline_answer":"y","baseline_unscored":{"answer_accuracy":"the row has no ground truth","exact_match":"the row has no ground truth"}}
{"index":2,"question":"q2","ground_truth":"t","answer":"z","scores":{"exact_match":0,"rouge_score":0,"rouge1":0},"unscored":{"answer_accuracy":"the judge is away"},"baseline_scores":{"exact_match":0}}`

// UnscoredRun is a run with these rows.
func UnscoredRun() events.Run {
	return events.Fold([]events.Fact{events.PhaseCompleted{
		RunID: "01RUN", Phase: events.Evaluation, Attempt: 1, Conclusion: events.Success,
		Scores:           map[string]float64{"exact_match": 0.5},
		BaselineScores:   map[string]float64{"exact_match": 0.5},
		Coverage:         map[string]events.Coverage{"exact_match": {Scored: 2, Rows: 3}, "answer_accuracy": {Rows: 3}},
		BaselineCoverage: map[string]events.Coverage{"exact_match": {Scored: 2, Rows: 3}},
		Gates:            []events.Gate{{Metric: "exact_match", AtLeast: 0.4, Score: 0.5, Reason: "2 of 3 rows have the score, 100 % are needed"}},
	}})
}

// Opener opens a text.
func Opener(text string) scores.Opener {
	return func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}
