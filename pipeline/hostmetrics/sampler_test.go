package hostmetrics

import (
	"testing"
)

func TestSampleHasMLflowNames(t *testing.T) {
	t.Parallel()
	s := New(t.Context())
	defer s.Close()
	got := map[string]float64{}
	for _, p := range s.Sample(t.Context()) {
		if p.Time.IsZero() {
			t.Errorf("%s has no time", p.Key)
		}
		got[p.Key] = p.Value
	}
	for _, key := range []string{"cpu_utilization_percentage", "system_memory_usage_megabytes", "system_memory_usage_percentage", "disk_usage_percentage"} {
		if v, ok := got[key]; !ok || v < 0 {
			t.Errorf("%s = %v, %v", key, v, ok)
		}
	}
	if p := got["system_memory_usage_percentage"]; p <= 0 || p > 100 {
		t.Errorf("memory usage is %v %%", p)
	}
}
