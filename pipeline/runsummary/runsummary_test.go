package runsummary_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// endedRun is a run of one phase that ended as said.
func endedRun(how events.Conclusion, change func(*events.Run)) events.Run {
	run := events.Run{
		ID:        "r1",
		Accepted:  &events.PipelineAccepted{RunID: "r1", RunName: "nightly", Plan: []events.Step{{Phase: events.Finetune, Queue: "builtin"}}},
		Completed: &events.PipelineCompleted{RunID: "r1", Conclusion: how, DurationSeconds: 3},
		Phases: map[events.Phase]*events.PhaseState{events.Finetune: {
			Attempts:  []events.Attempt{{Number: 1}, {Number: 2}},
			Completed: &events.PhaseCompleted{Phase: events.Finetune, Attempt: 2, Conclusion: how},
		}},
	}
	change(&run)
	return run
}

func unchanged(*events.Run) {}

// TestReportsAreNamedBeforeTracking: they are there while MLflow is not.
func TestReportsAreNamedBeforeTracking(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "r1"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "r1", "pipeline_summary.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := runsummary.Of(endedRun(events.Success, unchanged))
	s.AddReports(events.Run{ID: "r1"}, dir, "evaluator_output_detailed.xlsx", "pipeline_summary.json")
	if len(s.Links) != 1 || s.Links["pipeline_summary.json"] != filepath.Join(dir, "r1", "pipeline_summary.json") || !s.Pending {
		t.Errorf("%+v", s)
	}
}

// TestOutcomeOf: a run that came to its end is a success only if every gate is
// met and no phase failed.
func TestOutcomeOf(t *testing.T) {
	t.Parallel()
	for want, run := range map[runsummary.Outcome]events.Run{
		runsummary.Open:      endedRun(events.Success, func(r *events.Run) { r.Completed = nil }),
		runsummary.Succeeded: endedRun(events.Success, func(r *events.Run) { r.Completed.Gates = []events.Gate{{Met: true}} }),
		runsummary.Partial:   endedRun(events.Success, func(r *events.Run) { r.Completed.Gates = []events.Gate{{Met: true}, {}} }),
		runsummary.Failed:    endedRun(events.Failure, unchanged),
		runsummary.Cancelled: endedRun(events.Cancelled, unchanged),
	} {
		if got := runsummary.OutcomeOf(run); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		s := runsummary.Of(run)
		if partial := want == runsummary.Partial; (s.Status == runsummary.StatusPartial) != partial || !partial && s.Status != run.Status() {
			t.Errorf("%s: the status is %s", want, s.Status)
		}
		if run.Completed != nil && s.Conclusion != run.Completed.Conclusion {
			t.Errorf("%s: the conclusion is %s", want, s.Conclusion)
		}
	}
	failed := endedRun(events.Success, func(r *events.Run) { r.Completed.FailedPhases = []events.Phase{events.Finetune} })
	if got := runsummary.OutcomeOf(failed); got != runsummary.Partial {
		t.Errorf("a phase failed: got %s", got)
	}
}

// TestNextSteps: what a person can do depends on how the run ended, and on
// whether its server goes on.
func TestNextSteps(t *testing.T) {
	t.Parallel()
	again := runsummary.Retry{Command: "tunebus submit --config a.toml", Rerun: "tunebus rerun r1 --server nats://n:1"}
	tuned := func(r *events.Run) { r.Phases[events.Finetune].Completed.Conclusion = events.Success }
	pushed := func(outcome events.PushOutcome) func(*events.Run) {
		return func(r *events.Run) {
			r.Published = map[events.Product]events.PublishedCompleted{events.ProductModel: {What: events.ProductModel, Outcome: outcome}}
		}
	}
	ownData := runsummary.Retry{On: []string{"--data", "d"}, Taken: func(name string) bool { return name == "my-run.toml" }}
	for name, c := range map[string]struct {
		run   events.Run
		links map[string]string
		again runsummary.Retry
		want  []string
	}{
		"success": {
			endedRun(events.Success, unchanged),
			map[string]string{runsummary.LinkWorkbook: "/r/book.xlsx", runsummary.LinkMLflow: "file:///my%20runs/mlruns/1/2"},
			again,
			[]string{
				"open the workbook: /r/book.xlsx",
				"take the model out: tunebus export r1 nightly",
				"talk with it: tunebus chat r1",
				"move the MLflow runs into a database, to browse them: mlflow migrate-filestore --source '/my runs/mlruns' --target 'sqlite:////my runs/mlflow.db'",
				"use your own data, with a specification to fill in: tunebus config init my-run.toml",
			},
		},
		"failure": {
			endedRun(events.Failure, tuned), nil, again,
			[]string{
				"mend what the error names, then: tunebus submit --config a.toml",
				"read its log: tunebus logs r1",
				"take the model out: tunebus export r1 nightly",
				"talk with it: tunebus chat r1",
				"or use again what is finished: tunebus rerun r1 --server nats://n:1",
			},
		},
		"success, with a specification of the person's own": {
			endedRun(events.Success, unchanged), nil,
			runsummary.Retry{Taken: func(name string) bool { return name == "my-run.toml" || name == "nightly" }},
			[]string{"take the model out: tunebus export r1 nightly-2", "talk with it: tunebus chat r1"},
		},
		"failure, seen by who has no file": {
			endedRun(events.Failure, tuned), nil, runsummary.Retry{Command: "tunebus rerun r1", Rerun: "tunebus rerun r1", On: []string{"--data", "d"}},
			[]string{"mend what the error names, a key by --set KEY=VALUE behind this, then: tunebus rerun r1", "read its log: tunebus logs r1 --data d", "take the model out: tunebus export r1 nightly --data d", "talk with it: tunebus chat r1 --data d"},
		},
		"failure of everything": {
			endedRun(events.Failure, unchanged), nil, again,
			[]string{"mend what the error names, then: tunebus submit --config a.toml", "read its log: tunebus logs r1"},
		},
		"cancelled, on a server that ends": {
			endedRun(events.Cancelled, tuned), map[string]string{runsummary.LinkMLflow: "http://mlflow/#/1"}, runsummary.Retry{Program: "./bin/tunebus", Command: "./bin/tunebus run", On: []string{"--data", "my data"}},
			[]string{"start it again: ./bin/tunebus run", "take the model out: ./bin/tunebus export r1 nightly --data 'my data'", "talk with it: ./bin/tunebus chat r1 --data 'my data'", "compare it in MLflow: http://mlflow/#/1"},
		},
		"a model that the built-in engine cannot read": {
			endedRun(events.Success, func(r *events.Run) {
				r.Accepted.Specification.FineTuner = events.FineTuner{Engine: "trl", IsMultimodel: true}
			}), nil, runsummary.Retry{Taken: func(name string) bool { return name == "my-run.toml" }},
			[]string{"take the model out: tunebus export r1 nightly"},
		},
		"a push that failed": {
			endedRun(events.Success, pushed(events.PushFailed)), nil, ownData,
			[]string{"take the model out: tunebus export r1 nightly --data d", "talk with it: tunebus chat r1 --data d", "push to the Hub what is not there: tunebus replay publishing --run r1 --data d"},
		},
		"no push because of a missed gate": {
			endedRun(events.Success, func(r *events.Run) {
				pushed(events.PushSkipped)(r)
				r.Completed.Gates = []events.Gate{{Metric: "bleu_score"}}
			}), nil, ownData,
			[]string{"take the model out: tunebus export r1 nightly --data d", "talk with it: tunebus chat r1 --data d", "push to the Hub although its gates are not met: tunebus replay publishing --run r1 --push-always --data d"},
		},
		"no push because it was cancelled": {
			endedRun(events.Cancelled, pushed(events.PushSkipped)), nil, runsummary.Retry{Command: "tunebus run"},
			[]string{"start it again: tunebus run"},
		},
		"not ended": {endedRun(events.Success, func(r *events.Run) { r.Completed = nil }), nil, again, nil},
	} {
		s := runsummary.Of(c.run)
		s.Links = c.links
		var got []string
		for _, step := range runsummary.NextSteps(c.run, s, c.again) {
			got = append(got, step.String())
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

// TestAttempts: only phases that took enough attempts are listed.
func TestAttempts(t *testing.T) {
	t.Parallel()
	run := endedRun(events.Success, unchanged)
	if got := runsummary.Attempts(run, 2); len(got) != 2 || got[1].Number != 2 {
		t.Errorf("of two: %+v", got)
	}
	if got := runsummary.Attempts(run, 3); len(got) != 0 {
		t.Errorf("of three: %+v", got)
	}
}

// TestExportOfANameThatLooksLikeAFlag: the folder in the command is no flag.
func TestExportOfANameThatLooksLikeAFlag(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{"-x": "./-x", "--json": "./--json", "nightly": "nightly"} {
		run := endedRun(events.Success, func(r *events.Run) { r.Accepted.RunName = name })
		if got := runsummary.ExportCommand(run); got != "tunebus export r1 "+want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestAddNotes: what the phases note, and the data that they read, stand under their names.
func TestAddNotes(t *testing.T) {
	t.Parallel()
	run := endedRun(events.Success, func(r *events.Run) {
		done := r.Phases[events.Finetune].Completed
		done.Notes, done.Datasets = []string{"2 rows are left out"}, []events.Dataset{{Rows: 3}}
		r.Phases[events.Inference] = &events.PhaseState{}
	})
	s := runsummary.Of(run)
	if s.Notes != nil || s.Datasets != nil {
		t.Errorf("without all facts: %+v", s)
	}
	s.AddNotes(run)
	if len(s.Notes) != 1 || len(s.Datasets) != 1 || s.Notes[events.Finetune][0] != "2 rows are left out" || s.Datasets[events.Finetune][0].Rows != 3 {
		t.Errorf("%+v", s)
	}
}
