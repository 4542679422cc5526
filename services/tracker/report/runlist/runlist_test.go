package runlist

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/report/reporttest"
)

func TestUpdate(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "reports")
	list := New(dir)
	if all, err := list.read(); err != nil || all != nil {
		t.Errorf("a new list: %v, %v", all, err)
	}
	failed := events.Fold([]events.Fact{
		events.PipelineAccepted{RunID: "01BAD", RunName: "bad\x1b[31m\nname", RequestedAt: reporttest.Began.Add(time.Hour), Plan: []events.Step{{Phase: events.Finetune}, {Phase: events.Inference}}},
		events.PhaseCompleted{RunID: "01BAD", Phase: events.Finetune, Conclusion: events.Failure, Error: &events.Problem{Code: "missing_column", Message: "column q\tis missing"}},
		events.PipelineCompleted{RunID: "01BAD", Conclusion: events.Failure, DurationSeconds: 1.26},
	})
	queued := events.Fold([]events.Fact{events.PipelineAccepted{RunID: "01NEW", RequestedAt: reporttest.Began.Add(2 * time.Hour)}})
	for _, run := range []events.Run{failed, queued, reporttest.Run(), failed} {
		if err := list.Update(t.Context(), EntryOf(run)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := New(dir).read()
	if err != nil || len(all) != 3 || all[0].RunID != "01NEW" || all[1].RunID != "01BAD" || all[2].RunID != "01RUN" {
		t.Fatalf("list %+v, %v", all, err)
	}
	if all[1].Phase != events.Finetune || all[2].Phase != events.Finetune || all[2].Scores["rouge_score"] != 0.75 {
		t.Errorf("list %+v", all)
	}
	text, err := os.ReadFile(filepath.Join(dir, TextFileName))
	want := `01NEW  queued   -         2026-03-01 12:00:00Z  -     -              -
01BAD  failure  finetune  2026-03-01 11:00:00Z  1.3s  bad [31m name  column q is missing
01RUN  success  finetune  2026-03-01 10:00:00Z  3m0s  nightly        corpus 40.000, key_fact_accuracy 0.500, rouge_score 0.750 (+0.500)
`
	if err != nil || string(text) != want {
		t.Errorf("text, %v:\n%s", err, text)
	}
}

func TestEntryOfARejectedRequest(t *testing.T) {
	t.Parallel()
	l := EntryOf(events.Fold([]events.Fact{events.PipelineRejected{RequestSequence: 4, RunID: "r", Faults: []events.Fault{{Message: "epochs is 0"}, {Message: "b"}}}}))
	if l.Status != "rejected" || l.outcome() != "epochs is 0" {
		t.Errorf("line %+v", l)
	}
	l = Entry{MissedGates: []string{"rouge_score"}, FailedPhases: []events.Phase{events.Finetune}}
	if l.outcome() != "gate missed: rouge_score, failed: finetune" {
		t.Errorf("outcome %q", l.outcome())
	}
}

func TestConcurrentUpdates(t *testing.T) {
	t.Parallel()
	list := New(t.TempDir())
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			if err := list.Update(t.Context(), Entry{RunID: fmt.Sprint(i)}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if lines, err := list.read(); err != nil || len(lines) != 20 {
		t.Errorf("%d lines, %v", len(lines), err)
	}
}

func TestBrokenList(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), []byte("[{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := New(dir).Update(t.Context(), Entry{RunID: "r"}); err == nil || !strings.Contains(err.Error(), FileName) {
		t.Errorf("error %v", err)
	}
}
