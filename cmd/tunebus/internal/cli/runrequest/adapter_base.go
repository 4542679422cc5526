package runrequest

import (
	"fmt"
	"os"
	"strings"

	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

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
