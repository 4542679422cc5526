package runrequest

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/services/evaluation"
)

// answersReplace are the assignments that follow from a file of answers: they are
// there already, so nothing is trained and nothing is answered. What a flag says
// comes after them; what a file says, which is written for whole runs, does not.
func (f *Flags) answersReplace() []string {
	if f.predictions == "" {
		return nil
	}
	return []string{"pipeline.enable_finetuning=false", "pipeline.enable_inference=false"}
}

// checkAnswers reads the files of answers that flags name once, so that their
// faults are known before they are uploaded. A note warns where more than a tenth of
// the rows cannot be scored.
func (f *Flags) checkAnswers(ctx context.Context, s events.Specification, files map[string]string) (faults, notes structconf.Faults) {
	add := func(flag, message string) {
		faults = append(faults, structconf.Fault{Key: "--" + flag, Message: message})
	}
	if f.predictions != "" && s.Pipeline.EnableInference {
		add("predictions", "takes the place of inference, which is enabled as well; leave one of them out")
	}
	if f.predictions == "" && f.baseline != "" && !s.Pipeline.EnableInference {
		add("baseline-predictions", "needs --predictions, the answers that are compared with them")
	}
	if !s.Pipeline.EnableEvaluation || s.Pipeline.StopAfterFinetuning || s.Pipeline.StopAfterInference {
		return faults, nil
	}
	for _, of := range []struct{ flag, name, path string }{
		{"predictions", filePredictions, f.predictions}, {"baseline-predictions", fileBaseline, f.baseline},
	} {
		path, ok := files[of.name]
		if info, err := os.Stat(path); !ok || of.path == "" || err != nil || !info.Mode().IsRegular() {
			continue // it is a fault already, and a device may never end
		}
		answers, err := prediction.Open(ctx, evaluation.AnswersSource(s, path, of.path))
		if err == nil {
			if n := answers.Counts(); 10*(n.NoGroundTruth+n.NoAnswer) > n.Rows {
				notes = append(notes, structconf.Fault{Key: "--" + of.flag, Message: fmt.Sprintf(
					"warning: %s: of %s %d have no ground truth and %d have no answer", of.path, view.Count(n.Rows, "row"), n.NoGroundTruth, n.NoAnswer)})
			}
		}
		for _, one := range each(err) {
			add(of.flag, one.Error())
		}
	}
	return faults, notes
}

// each are the errors that were joined to one.
func each(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		return joined.Unwrap()
	}
	return []error{err}
}
