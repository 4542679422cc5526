package showcmd_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
)

// TestCompleteRuns: a shell proposes the runs that begin as typed, the newest
// first, with time and name, and "last".
func TestCompleteRuns(t *testing.T) {
	t.Parallel()
	f := threeRuns(t)
	for begun, want := range map[string][]string{"": {"last", "c3", "ab2", "ab1"}, "ab": {"ab2", "ab1"}, "la": {"last"}, "x": nil, "sh": {"ships"}, "name-of": {"name-of-c3"}} {
		status, out, screen := clitest.Run(t, "__complete", "show", "--data", f.Dir, begun)
		if status != 0 {
			t.Fatalf("status %d, %s", status, screen)
		}
		var got []string
		for line := range strings.Lines(out) {
			if id, _, described := strings.Cut(line, "\t"); described && strings.HasPrefix(id, begun) {
				got = append(got, id)
			}
		}
		if len(got) != len(want) || strings.Join(sorted(got), " ") != strings.Join(sorted(want), " ") || len(got) > 0 && (begun == "" || begun == "la") && got[0] != "last" {
			t.Errorf("%q proposes %q, want %q", begun, got, want)
		}
	}
	if status, out, _ := clitest.Run(t, "__complete", "rerun", "c3", "--from", ""); status != 0 || !strings.Contains(out, "inference") {
		t.Errorf("--from: status %d, %s", status, out)
	}
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
