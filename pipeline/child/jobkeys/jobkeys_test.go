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

// TestTraining: a job file of a training names every key, those that differ from their
// defaults, and the seed.
func TestTraining(t *testing.T) {
	t.Parallel()
	f := spec.Defaults().FineTuner
	f.GradAccumulation, f.SaveSteps, f.Seed = 2, 4, 7
	job := jobkeys.Training(f)
	keys, _ := job.Keys.(map[string]any)
	if keys["grad_accumulation"] != 2 || keys["push_always"] != false || keys["adam_epsilon"] != 0.0 || job.Seed != 7 {
		t.Errorf("its keys are %v, its seed is %d", keys, job.Seed)
	}
	if want := []string{"grad_accumulation", "seed", "save_steps"}; !slices.Equal(job.Changed, want) {
		t.Errorf("the changed keys are %q, want %q", job.Changed, want)
	}
	if job := jobkeys.Training(spec.Defaults().FineTuner); job.Changed == nil || len(job.Changed) > 0 {
		t.Errorf("without a change the changed keys are %#v", job.Changed)
	}
}
