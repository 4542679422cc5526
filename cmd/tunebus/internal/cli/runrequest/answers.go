package runrequest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/prediction"
	"github.com/tunebus/tunebus/pipeline/runconfig"
	"github.com/tunebus/tunebus/pipeline/structconf"
	"github.com/tunebus/tunebus/services/evaluation"
)

// answerFile is a file of answers.
type answerFile struct {
	// key is the flag or the key that names it, said the path as it stands there.
	key, said string
	path      string
}

// answerFiles are the files of answers, by their names in a request.
type answerFiles map[string]answerFile

// answers are the files that flags name, or else files of the specification, in
// whose folders relative paths start.
func (f *Flags) answers(run runconfig.Run, tree structconf.Tree) answerFiles {
	out := answerFiles{}
	for name, flag := range map[string]string{runconfig.Predictions: f.predictions, runconfig.Baseline: f.baseline} {
		key := runconfig.Section + "." + name
		said, path := run.Files[name], run.Files[name]
		switch {
		case flag != "":
			key, said, path = "--"+strings.ReplaceAll(name, "_", "-"), flag, flag
		case path == "":
			continue
		case !filepath.IsAbs(path):
			path = filepath.Join(filepath.Dir(tree.Positions[key].File), path)
		}
		out[name] = answerFile{key: key, said: said, path: path}
	}
	return out
}

// replace are the assignments that follow from a file of answers: they are
// there already, so nothing is trained and nothing is answered. What a flag says
// comes after them; what a file says, which is written for whole runs, does not.
func (a answerFiles) replace() []string {
	if _, ok := a[runconfig.Predictions]; !ok {
		return nil
	}
	return []string{"pipeline.enable_finetuning=false", "pipeline.enable_inference=false"}
}

// checkAnswers reads the files of answers once, so that their faults are known
// before they are uploaded. A note warns where more than a tenth of the rows
// cannot be scored.
func checkAnswers(ctx context.Context, s events.Specification, files answerFiles) (faults, notes structconf.Faults) {
	predictions, hasPredictions := files[runconfig.Predictions]
	baseline, hasBaseline := files[runconfig.Baseline]
	add := func(a answerFile, message string) {
		faults = append(faults, structconf.Fault{Key: a.key, Message: message})
	}
	if hasPredictions && s.Pipeline.EnableInference {
		add(predictions, "takes the place of inference, which is enabled as well; leave one of them out")
	}
	if !hasPredictions && hasBaseline && !s.Pipeline.EnableInference {
		add(baseline, "needs --predictions, the answers that are compared with them")
	}
	if !s.Pipeline.EnableEvaluation || s.Pipeline.StopAfterFinetuning || s.Pipeline.StopAfterInference {
		return faults, nil
	}
	for _, a := range []answerFile{predictions, baseline} {
		if info, err := os.Stat(a.path); err != nil || !info.Mode().IsRegular() {
			continue // none, or a fault already; a device may never end
		}
		answers, err := prediction.Open(ctx, evaluation.AnswersSource(s, a.path, a.said))
		if err == nil && a == predictions {
			if _, unusable := evaluation.Unusable(answers.Counts(), s.Evaluator.Metrics); unusable != nil {
				add(a, a.said+": "+unusable.Error())
				continue
			}
		}
		if err == nil {
			if n := answers.Counts(); 10*(n.NoGroundTruth+n.NoAnswer) > n.Rows {
				notes = append(notes, structconf.Fault{Key: a.key, Message: fmt.Sprintf(
					"%s: of %s %d have no ground truth and %d have no answer", a.said, view.Count(n.Rows, "row"), n.NoGroundTruth, n.NoAnswer)})
			}
		}
		for _, one := range each(err) {
			add(a, one.Error())
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
