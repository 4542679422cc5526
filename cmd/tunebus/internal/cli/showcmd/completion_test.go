package showcmd_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/clitest"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
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

// TestCompleteLabelsAndScores: a shell proposes the labels of runs, first their keys, and the
// scores that rows may have.
func TestCompleteLabelsAndScores(t *testing.T) {
	t.Parallel()
	f := clitest.NewDataFolder(t)
	f.WithServer(t, func(b *conn.Conn) {
		for id, team := range map[string]string{"r1": "search", "r2": "search", "r3": "ads"} {
			facts := clitest.EndedRun(id)
			accepted := facts[0].(events.PipelineAccepted)
			accepted.Labels = map[string]string{"team": team, "night\x1bly": "1"}
			facts[0] = accepted
			clitest.Publish(t, b, facts...)
		}
	})
	for _, c := range []struct {
		words []string
		want  string
	}{
		{[]string{"runs", "--data", f.Dir, "--label", "te"}, "team=\t3 runs\n:6\n"},
		{[]string{"runs", "--data", f.Dir, "--label", "team=s"}, "team=search\t2 runs\n:4\n"},
		{[]string{"runs", "--data", f.Dir, "--label", "nig"}, ":6\n"}, // it cannot be typed
		{[]string{"compare", "--metric", "rouge_"}, "\nrouge_score\nrouge1\n"},
		{[]string{"export", "--dtype", "bf"}, "bfloat16\n:4\n"},
	} {
		status, out, screen := clitest.Run(t, append([]string{"__complete"}, c.words...)...)
		if status != 0 || !strings.Contains(out, c.want) || strings.Contains(out, "night") {
			t.Errorf("%q: status %d, %q, want %q\n%s", c.words, status, out, c.want, screen)
		}
	}
}
