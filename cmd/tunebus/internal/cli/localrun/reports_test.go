package localrun

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker"
	"github.com/tunebus/tunebus/services/tracker/report"
)

// TestRunWaitsForItsReports: a process does not end while the reports of its run are
// being written, however long that takes; not for ever for reports that nobody
// begins, and not for those of other runs.
func TestRunWaitsForItsReports(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		run   string
		after time.Duration // until the writing begins
		takes time.Duration
		err   error
		waits time.Duration
		says  string
	}{
		"at once":   {"mine", 0, 0, nil, 0, ""},
		"slow":      {"mine", 10 * time.Second, time.Hour, nil, time.Hour + 10*time.Second, "writing the reports of the run"},
		"failing":   {"mine", 0, 0, errors.New("the disk is full"), 0, "the reports of the run were not written: the disk is full"},
		"never":     {"another", 0, 0, nil, reportsBegin, "the reports of the run are not written yet"},
		"cancelled": {"mine", 0, 100 * time.Hour, nil, 48 * time.Hour, "writing the reports of the run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 48*time.Hour)
				defer cancel()
				cfg := tracker.Config{Write: func(ctx context.Context, _ string, _ report.Report) ([]report.File, error) {
					select {
					case <-time.After(c.takes):
					case <-ctx.Done():
					}
					return nil, c.err
				}}
				l := newLocalReports("mine")
				l.watch(&cfg)
				go func() {
					time.Sleep(c.after)                                                  // of the bubble's clock
					_, _ = cfg.Write(ctx, "", report.Report{Run: events.Run{ID: c.run}}) // what it says is in l
				}()
				var screen bytes.Buffer
				began := time.Now()
				if failed := l.wait(ctx, view.NewConsole(&bytes.Buffer{}, &screen)); failed != (c.err != nil || c.run != "mine") {
					t.Errorf("failed: %v", failed)
				}
				if took := time.Since(began); took != c.waits {
					t.Errorf("it waited for %s, want %s", took, c.waits)
				}
				if got := screen.String(); !strings.Contains(got, c.says) || c.says == "" && got != "" {
					t.Errorf("it said %q", got)
				}
			})
		})
	}
}
