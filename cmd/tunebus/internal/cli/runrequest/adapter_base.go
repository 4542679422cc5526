package runrequest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/llm/regularfile"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/spec/used"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// adapterNotes names the keys that the files or flags set and that have no effect, since
// the model to start from is an adapter on this machine.
func (s source) adapterNotes(specification events.Specification, files map[string]string) structconf.Faults {
	dir, local := files["fine_tuner.base_model_id"]
	if name, err := engine.AdapterBase(dir); !local || err != nil || name == "" {
		return nil
	}
	config, err := regularfile.Read(filepath.Join(dir, "adapter_config.json"))
	if err != nil { // which the check of the model says
		return nil
	}
	return s.tree.Locate(nil, used.AdapterBaseNotes(specification, config, func(key string) bool {
		_, set := s.tree.Positions[key]
		return set
	}))
}

// adapterBase adds the base model of an adapter to the files, where a key names
// the folder of an adapter. A relative path starts in the working folder, as it
// does for PEFT.
func adapterBase(files map[string]string, p spec.Path, path string) structconf.Faults {
	if info, err := os.Stat(path); err != nil || !info.IsDir() || strings.HasSuffix(p.Key, "_data_id") {
		return nil
	}
	name, err := engine.AdapterBase(path)
	if err != nil {
		return structconf.Faults{{Key: p.Key, Value: p.Value, Message: err.Error()}}
	}
	if name == "" {
		return nil
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		files[p.Key+engine.BaseSuffix] = name
		return nil
	}
	if spec.IsHubID(name) {
		return nil
	}
	return structconf.Faults{{Key: p.Key, Value: p.Value, Message: fmt.Sprintf(
		"this adapter's base model, %q in base_model_name_or_path of its adapter_config.json, is neither a folder here nor an id of the Hugging Face Hub", name)}}
}
