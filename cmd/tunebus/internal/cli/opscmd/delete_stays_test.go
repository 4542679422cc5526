package opscmd_test

import (
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/deletedruns"
	"github.com/tunebus/tunebus/pipeline/deletion"
	"github.com/tunebus/tunebus/pipeline/gc"
)

// TestWhatStays: what other runs use is told from what is too young to be removed.
func TestWhatStays(t *testing.T) {
	t.Parallel()
	r := deletion.Report{
		Runs: []deletion.Target{{}}, Kept: gc.Sum{Count: 9, Bytes: 90}, UsedBy: []string{"other"}, Young: gc.Sum{Count: 1, Bytes: 10},
	}
	want := "8 artifacts (80 bytes) stay: run other uses them\n" +
		"1 artifact (10 bytes) stays: content of the last hour; \"tunebus gc\" removes it when a day has passed"
	if got := deletedruns.Text(r); !strings.Contains(got, want) {
		t.Errorf("want %q, got\n%s", want, got)
	}
}
