package inputs

import (
	"path/filepath"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/regularfile"
	"github.com/tunebus/tunebus/pipeline/spec/used"
)

// adapterConfig is the file that describes an adapter.
const adapterConfig = "adapter_config.json"

// AdapterNotes say that the model to start from is an adapter that is trained further, and
// which keys have no effect for that. There are none where it is not.
func (b Base) AdapterNotes(s events.Specification) []string {
	if b.Adapter == "" || s.FineTuner.FullFinetuning {
		return nil
	}
	notes := []string{"fine_tuner.base_model_id is an adapter: it is trained further, with its own rank, scaling and modules"}
	config, err := regularfile.Read(filepath.Join(b.Adapter, adapterConfig))
	if err != nil { // which its opening says
		return notes
	}
	return append(notes, used.AdapterBaseNotes(s, config, nil).Lines()...)
}

// Used returns the values that a training used in place of those of its specification. took
// is the section as the engine took it, and result the folder of the trained model.
func (b Base) Used(s, took events.FineTuner, result string) map[string]string {
	if b.Adapter != "" && !s.FullFinetuning {
		if config, err := regularfile.Read(filepath.Join(result, adapterConfig)); err == nil { // else it is a whole model
			if has, err := used.WithAdapter(took, config); err == nil {
				took = has
			}
		}
	}
	return used.Values(s, took)
}
