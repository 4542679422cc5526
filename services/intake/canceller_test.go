package intake

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/journal"
)

func newCanceller(runs Runs) (*canceller, *fakePublisher) {
	j := &fakePublisher{}
	return &canceller{runs: readerOf(runs), publisher: j, grace: time.Minute, log: slog.New(slog.DiscardHandler)}, j
}

func TestCancellerEndsJobWithoutWorkerAtOnce(t *testing.T) {
	t.Parallel()
	c, j := newCanceller(fakeRuns{"r": queuedRun("r")})
	if err := c.handle(t.Context(), firstDelivery(events.CancelRequested{RunID: "r"}, time.Now())); err != nil {
		t.Fatal(err)
	}
	if len(j.published) != 2 {
		t.Fatalf("published %+v", j.published)
	}
	if started := j.published[0].(events.PhaseStarted); started.Worker != "intake" {
		t.Errorf("started by %s", started.Worker)
	}
	if completed := j.published[1].(events.PhaseCompleted); completed.Conclusion != events.Cancelled {
		t.Errorf("completed with %s", completed.Conclusion)
	}
	if len(j.followed) != 1 {
		t.Errorf("followed %+v", j.followed)
	}
}

func TestCancellerGivesTheWorkerTime(t *testing.T) {
	t.Parallel()
	c, j := newCanceller(fakeRuns{"r": runningRun("r")})
	d := firstDelivery(events.CancelRequested{RunID: "r"}, time.Now())
	wantRetry(t, c.handle(t.Context(), d), 50*time.Second, time.Minute)
	if len(j.published) != 0 {
		t.Fatalf("published %+v", j.published)
	}
	d.Delivered = 2
	if err := c.handle(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if len(j.published) != 2 {
		t.Errorf("published %+v", j.published)
	}
}

// TestCancellerLosesToTheWorker: if the worker completed the job first, the
// next delivery finds its result.
func TestCancellerLosesToTheWorker(t *testing.T) {
	t.Parallel()
	c, j := newCanceller(fakeRuns{"r": queuedRun("r")})
	j.err = &journal.FencedError{Subject: "finetune.completed.r"}
	err := c.handle(t.Context(), firstDelivery(events.CancelRequested{RunID: "r"}, time.Now()))
	wantRetry(t, err, time.Millisecond, time.Second)
}

func TestRunReaderRetriesNewerVersions(t *testing.T) {
	t.Parallel()
	runs := failingRuns{fmt.Errorf("read r: %w", &events.UnknownVersionError{})}
	_, err := readerOf(runs).read(t.Context(), "r")
	wantRetry(t, err, newerVersionDelay, newerVersionDelay)
}
