package rundetail

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/report"
)

// TestPendingParts: a run whose tracking is pending names the part that is missing where that can
// be known, and blames no part where it cannot.
func TestPendingParts(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	run := events.Fold([]events.Fact{
		events.PipelineAccepted{RunID: "r", Plan: []events.Step{{Phase: events.Evaluation}}},
		events.PhaseCompleted{RunID: "r", Phase: events.Evaluation, Attempt: 1, Conclusion: events.Success, Artifacts: []events.Artifact{{Name: events.ArtifactScores}}},
		events.PipelineCompleted{RunID: "r", Conclusion: events.Success},
	})
	shown := func(reports, track string) string {
		var out strings.Builder
		Detail{Run: run, Reports: reports, Track: track}.write(&out)
		_, after, _ := strings.Cut(out.String(), "\ntracking is pending: ")
		line, _, _ := strings.Cut(after, "\n\n")
		return line
	}
	expect := func(when, reports, track, want string) {
		t.Helper()
		if got := shown(reports, track); strings.TrimSpace(got) != want {
			t.Errorf("%s: %q, want %q", when, got, want)
		}
	}
	write := func(names ...string) {
		t.Helper()
		for _, name := range names {
			if err := errors.Join(os.MkdirAll(filepath.Join(folder, "r"), 0o755), os.WriteFile(filepath.Join(folder, "r", name), nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
	}
	expect("of a server", "", "", "MLflow does not have all of this run yet, or its reports are not all there; the log of the tracker says why")
	write(report.PipelineSummaryName, report.ConfigName)
	expect("half of the reports", folder, "tunebus replay tracking",
		"its reports are not all in "+folder+" yet, which lacks evaluator_output_summary.json, evaluator_output_detailed.xlsx; this makes up for it:\n  tunebus replay tracking")
	write(report.SummaryName, report.WorkbookName)
	expect("all reports", folder, "", "MLflow does not have all of this run yet; the log of the tracker says why")
}
