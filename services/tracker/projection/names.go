package projection

import "github.com/tunebus/tunebus/events"

// parentPhase is the phase tag of the parent run.
const parentPhase = "pipeline"

// childName is the phase in the name of its MLflow run, as it is known to
// users of MLflow.
func childName(p events.Phase) string {
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
// run. It differs from [childName] for inference only.
func metricName(p events.Phase) string {
	if p == events.Inference {
		return "inference"
	}
	return childName(p)
}
