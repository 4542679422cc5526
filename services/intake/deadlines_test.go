package intake

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
)

func acceptedDelivery(t *testing.T, deadline string, requested time.Time) delivery.Delivery {
	t.Helper()
	accepted := events.PipelineAccepted{RunID: "r", RequestedAt: requested}
	accepted.Specification.Pipeline.Deadline = deadline
	d := firstDelivery(accepted, requested)
	d.Event = nil // as the subject-only route delivers it
	var err error
	if d.Data, err = json.Marshal(accepted); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	now := time.Now()
	ended := queuedRun("r")
	ended.Completed = &events.PipelineCompleted{RunID: "r"}
	for name, c := range map[string]struct {
		deadline  string
		requested time.Time
		run       events.Run
		least     time.Duration // of the retry; 0: none
		most      time.Duration
		cancels   int
	}{
		"no deadline": {"", now, queuedRun("r"), 0, 0, 0},
		"soon":        {"10m", now, queuedRun("r"), 9 * time.Minute, 10 * time.Minute, 0},
		"far":         {"48h", now, queuedRun("r"), 5*time.Hour + 59*time.Minute, 6 * time.Hour, 0},
		"passed":      {"10m", now.Add(-time.Hour), queuedRun("r"), 0, 0, 1},
		"ended":       {"10m", now.Add(-time.Hour), ended, 0, 0, 0},
	} {
		j := &fakePublisher{}
		h := &deadlines{runs: readerOf(fakeRuns{"r": c.run}), publisher: j}
		err := h.handle(t.Context(), acceptedDelivery(t, c.deadline, c.requested))
		switch {
		case c.most > 0:
			wantRetry(t, err, c.least, c.most)
		case err != nil:
			t.Errorf("%s: %v", name, err)
		}
		if len(j.published) != c.cancels {
			t.Errorf("%s: published %+v", name, j.published)
		}
	}
}
