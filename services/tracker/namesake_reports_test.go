package tracker

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/projection"
	"github.com/tunebus/tunebus/services/tracker/report"
	"github.com/tunebus/tunebus/services/tracker/report/removal"
	"github.com/tunebus/tunebus/services/tracker/report/runlist"
)

// TestReportsOfOneIDFromTwoFolders: two data folders that share a folder of reports have each the
// reports of its own run, and a line; the deletion of one leaves the other.
func TestReportsOfOneIDFromTwoFolders(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	snapshot := func(requested time.Time) projection.Snapshot {
		return projection.Snapshot{NewestSequence: 9, Run: events.Fold([]events.Fact{
			events.PipelineAccepted{RunID: "nightly", RequestedAt: requested},
			events.PipelineCompleted{RunID: "nightly", Conclusion: events.Success, EndedAt: requested},
		})}
	}
	first := time.Date(2026, 3, 1, 10, 0, 0, 1, time.UTC)
	runs := []projection.Snapshot{snapshot(first), snapshot(first.Add(time.Second))}
	var summaries []string
	list := runlist.NewBuffer(dir)
	writer := &reportWriter{dir: dir, homeOf: Config{Reports: dir}.homeOf, list: list, writeFile: report.Write}
	for range 2 { // again, as a later tracker does
		summaries = nil
		for _, run := range runs {
			files, err := writer.write(t.Context(), run)
			if err != nil {
				t.Fatal(err)
			}
			summaries = append(summaries, files[0].Path)
		}
	}
	if err := list.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, path := range summaries {
		var got struct {
			RequestedAt time.Time `json:"requested_at"`
		}
		text, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(text, &got) != nil || !got.RequestedAt.Equal(runs[i].Run.Accepted.RequestedAt) {
			t.Errorf("%s holds the run of %s (%v)", path, got.RequestedAt, err)
		}
	}
	if got, want := filepath.Base(filepath.Dir(summaries[0])), "nightly"; got != want {
		t.Errorf("the first one is in %s, want %s", got, want)
	}
	lines := func() int {
		text, err := os.ReadFile(filepath.Join(dir, runlist.TextFileName))
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), "nightly")
	}
	if got := lines(); got != 2 {
		t.Errorf("%d lines, want 2", got)
	}
	update := func(ctx context.Context, e runlist.Entry) error { return runlist.New(dir).Update(ctx, e) }
	for i, links := range []map[string]string{{report.PipelineSummaryName: summaries[1]}, nil} { // a tracked one, and one that is not
		run := runs[1-i].Run.Accepted
		_, err := removal.Removal{
			Deleted: events.PipelineDeleted{RunID: "nightly", RequestedAt: run.RequestedAt, Links: links}, Sequence: 12, Dir: dir, AnyFolder: true, List: update,
		}.Run(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		_, of0 := os.Stat(summaries[0])
		_, of1 := os.Stat(summaries[1])
		if got := lines(); of1 == nil || (of0 == nil) != (i == 0) || got != 1-i {
			t.Errorf("behind deletion %d: first %v, second %v, %d lines", i+1, of0, of1, got)
		}
	}
}
