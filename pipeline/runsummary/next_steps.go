package runsummary

import (
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/shellquote"
)

// Retry holds the commands that start a run once more.
type Retry struct {
	// Command starts the same run again.
	Command string
	// Rerun uses again what the run made; empty if the run's server ends with the
	// run. It may be the same as Command.
	Rerun string
}

// Step is one thing that a person can do next.
type Step struct {
	Do string `json:"do"`
	// With is the command to type, or the file or address to open.
	With string `json:"with"`
}

func (s Step) String() string { return s.Do + ": " + s.With }

// NextSteps lists what can be done after a run has ended; nothing before that.
func NextSteps(run events.Run, s Summary, again Retry) []Step {
	if run.Completed == nil {
		return nil
	}
	var out []Step
	add := func(do, with string) { out = append(out, Step{do, with}) }
	switch run.Completed.Conclusion {
	case events.Failure:
		add("mend what the error names, then", again.Command)
	case events.Cancelled:
		add("start it again", again.Command)
	default:
		if book, ok := s.Links[LinkWorkbook]; ok {
			add("open the workbook", book)
		}
	}
	if run.Completed.Conclusion != events.Success && again.Rerun != "" && again.Rerun != again.Command && anySucceeded(run) {
		add("or use again what is finished", again.Rerun)
	}
	if uri := s.Links[LinkMLflow]; strings.HasPrefix(uri, "file:") {
		store := filepath.Dir(filepath.Dir(strings.TrimPrefix(uri, "file://")))
		add("move the MLflow runs into a database, to browse them", shellquote.Join("mlflow", "migrate-filestore", "--source", store, "--target", "sqlite:////absolute/path/mlflow.db"))
	} else if uri != "" {
		add("compare it in MLflow", uri)
	}
	if run.Completed.Conclusion == events.Success {
		add("your own data", again.Command+" --set fine_tuner.training_data_id=my.jsonl --set inferencer.testing_data_id=my-test.jsonl")
	}
	return out
}

func anySucceeded(run events.Run) bool {
	for _, p := range run.Phases {
		if succeeded(p) {
			return true
		}
	}
	return false
}
