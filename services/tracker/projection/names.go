package projection

import "github.com/tunebus/tunebus/events"

// parentPhase is the phase tag of the parent run.
const parentPhase = "pipeline"

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
