package inputs_test

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/pipeline/spec"
	"github.com/tunebus/tunebus/services/finetune/inputs"
)

// TestAdapterThatIsTrainedFurther: whoever trains, the notes name the keys that the adapter
// decides, and what was used is read from the result. All weights, or a new adapter, have
// nothing of it.
func TestAdapterThatIsTrainedFurther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "adapter_config.json"), []byte(`{"r": 32, "lora_alpha": 16, "target_modules": ["q_proj"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s := spec.Defaults()
	s.FineTuner.Engine, s.FineTuner.Rank, s.FineTuner.TargetModules = "trl", 8, []string{"q_proj"}
	b := inputs.Base{Adapter: dir}
	if notes := strings.Join(b.AdapterNotes(s), "\n"); !strings.Contains(notes, "is an adapter: it is trained further") || !strings.Contains(notes, "fine_tuner.rank = 8: has no effect") {
		t.Errorf("notes %q", notes)
	}
	if got := b.Used(s.FineTuner, s.FineTuner, dir); !maps.Equal(got, map[string]string{"fine_tuner.rank": "32"}) {
		t.Errorf("used %v", got)
	}
	if fresh := (inputs.Base{}); fresh.AdapterNotes(s) != nil || fresh.Used(s.FineTuner, s.FineTuner, dir) != nil {
		t.Error("a new adapter is described as one that is trained further")
	}
	s.FineTuner.FullFinetuning = true
	if b.AdapterNotes(s) != nil || b.Used(s.FineTuner, s.FineTuner, dir) != nil {
		t.Error("an adapter that is merged is described as one that is trained further")
	}
}
