package runrequest

import (
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// withoutEffect returns a note for each key of --set that no phase of the run reads. What files
// say is written for whole runs.
func withoutEffect(f *Flags, s events.Specification) (notes structconf.Faults) {
	if f.predictions == "" || s.Pipeline.EnableFinetuning {
		return nil
	}
	for _, set := range f.sets {
		key, value, _ := strings.Cut(set, "=")
		// The name of the model says whose answers they are.
		if section, name, _ := strings.Cut(key, "."); section == "fine_tuner" && name != "base_model_id" {
			notes = append(notes, structconf.Fault{Key: key, Value: value, Message: "has no effect: --predictions has nothing trained"})
		}
	}
	return notes
}

// Unused names the credentials that are given and that a run of this specification does not need.
func (f *CredentialFlags) Unused(s events.Specification, judged bool) (notes structconf.Faults) {
	if f.huggingFace != "" && !s.Pipeline.EnableFinetuning && !s.Pipeline.EnableInference {
		notes = append(notes, structconf.Fault{Key: "--hf-key", Message: "has no effect: nothing of this run comes from the Hub"})
	}
	if f.openAI != "" && !judged {
		notes = append(notes, structconf.Fault{Key: "--openai-key", Message: "has no effect: no metric of this run needs a judge"})
	}
	return notes
}
