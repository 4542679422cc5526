package projection

import (
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// parentPhase is the phase tag of the parent run.
const parentPhase = "pipeline"

// Keys are the keys of all MLflow runs that a pipeline run can have.
func Keys(run string) []mlflow.RunKey {
	keys := []mlflow.RunKey{{RunID: run, Phase: parentPhase}}
	for _, p := range events.Phases() {
		keys = append(keys, mlflow.RunKey{RunID: run, Phase: string(p)})
	}
	return keys
}

// phaseLabel is the word by which users of MLflow know a phase: in the phase's
// parameter, in the parameter of its error, and in the name of its run, unless
// the specification names that ([childRunName]).
func phaseLabel(p events.Phase) string {
	switch p {
	case events.Finetune:
		return "finetuning"
	case events.Inference:
		return "inferencing"
	default:
		return "evaluation"
	}
}

// metricName is the phase in the names of metrics and parameters of the parent
// run. It differs from [phaseLabel] for inference only.
func metricName(p events.Phase) string {
	if p == events.Inference {
		return "inference"
	}
	return phaseLabel(p)
}
