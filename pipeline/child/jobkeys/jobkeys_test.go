package jobkeys_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/child/jobkeys"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// TestEveryKey: each key of a section has a value, also at its default, and lists and
// tables are never null.
func TestEveryKey(t *testing.T) {
	t.Parallel()
	for section, value := range map[string]any{"fine_tuner": events.FineTuner{}, "inferencer": events.Inferencer{}} {
		body, err := json.Marshal(jobkeys.Of(value))
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, k := range spec.Keys() {
			if k.Section != section {
				continue
			}
			n++
			if v, has := got[k.Name]; !has || v == nil && slices.Contains([]string{"modules_to_save", "rank_pattern", "stop", "target_modules"}, k.Name) {
				t.Errorf("%s.%s is %v, %t", section, k.Name, v, has)
			}
		}
		if n != len(got) || n < 20 {
			t.Errorf("%s has %d keys, and its job %d", section, n, len(got))
		}
	}
	f := jobkeys.Of(events.FineTuner{MaxSteps: 7, UseDoRA: true})
	if f["max_steps"] != 7 || f["use_dora"] != true {
		t.Errorf("%v", f)
	}
}
