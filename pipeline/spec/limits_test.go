package spec_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/pipeline/spec"
)

// TestLimits: a value above its limit is a fault with key, value and the allowed
// values; an empty value is set to the limit.
func TestLimits(t *testing.T) {
	t.Parallel()
	limits := spec.Limits{MaxTries: 4, MaxCrashes: 6, Backoff: time.Minute, Timeout: 36 * time.Hour, Deadline: 90 * time.Minute}
	s := spec.Defaults()
	if faults := limits.Apply(&s); len(faults) > 0 {
		t.Errorf("the defaults have faults: %v", faults)
	}
	if s.FineTuner.Timeout != "36h" || s.Inferencer.Timeout != "36h" || s.Evaluator.Timeout != "36h" || s.Pipeline.Deadline != "1h30m" || s.Pipeline.Backoff != "" {
		t.Errorf("timeouts %q %q %q, deadline %q, backoff %q", s.FineTuner.Timeout, s.Inferencer.Timeout, s.Evaluator.Timeout, s.Pipeline.Deadline, s.Pipeline.Backoff)
	}
	s = spec.Defaults()
	s.Pipeline.MaxTries, s.Pipeline.MaxCrashes, s.Pipeline.Backoff, s.Pipeline.Deadline = 5, 7, "61s", "2h"
	s.FineTuner.Timeout, s.Inferencer.Timeout, s.Evaluator.Timeout = "36h1s", "36h", "1000h"
	var got []string
	for _, f := range limits.Apply(&s) {
		got = append(got, fmt.Sprintf("%s=%s (%s)", f.Key, f.Value, f.Allowed))
		if !strings.Contains(f.Message, "limits.") {
			t.Errorf("%s: %s", f.Key, f.Message)
		}
	}
	want := "pipeline.max_tries=5 (1 to 4) pipeline.max_crashes=7 (1 to 6) fine_tuner.timeout=36h1s (up to 36h) evaluator.timeout=1000h (up to 36h) pipeline.backoff=61s (up to 1m) pipeline.deadline=2h (up to 1h30m)"
	if strings.Join(got, " ") != want {
		t.Errorf("faults\n%s\nwant\n%s", strings.Join(got, " "), want)
	}
	s = spec.Defaults()
	s.Pipeline.MaxTries, s.FineTuner.Timeout, s.Pipeline.Backoff = 1000, "100000h", "100h"
	if faults := (spec.Limits{}).Apply(&s); len(faults) > 0 || s.Inferencer.Timeout != "" || s.Pipeline.Deadline != "" {
		t.Errorf("without limits: %v, %q, %q", faults, s.Inferencer.Timeout, s.Pipeline.Deadline)
	}
}

// TestDurations: keys with a duration are checked too.
func TestDurations(t *testing.T) {
	t.Parallel()
	keys := []string{"fine_tuner.timeout", "inferencer.timeout", "evaluator.timeout", "pipeline.backoff", "pipeline.deadline"}
	for _, key := range keys {
		section, name, _ := strings.Cut(key, ".")
		for _, value := range []string{"soon", "36", "-1h", "0s", "1d", "9999999h"} {
			raw := fmt.Sprintf(`{"fine_tuner":{"base_model_id":"a/b","training_data_id":"a/c"},"inferencer":{"testing_data_id":"a/d"},%q:{%q:%q}}`, section, name, value)
			_, faults := spec.FromJSON([]byte(raw))
			found := false
			for _, f := range faults {
				found = found || f.Key == key && f.Value == value && f.Allowed != "" && f.Message != ""
			}
			if !found {
				t.Errorf("%s = %q: faults %v", key, value, faults)
			}
		}
		raw := fmt.Sprintf(`{%q:{%q:"1h30m"}}`, section, name)
		_, faults := spec.FromJSON([]byte(raw))
		for _, f := range faults {
			if f.Key == key {
				t.Errorf("%s = 1h30m: %+v", key, f)
			}
		}
	}
}
