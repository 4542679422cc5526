package publishing

import (
	"time"

	"github.com/tunebus/tunebus/events"
)

// pushPatience is how long behind its end a run is not said to be tracked while pushes of
// it are open, so that what is written of it has them. It is shorter than a person waits
// for MLflow; what is pushed later is written later.
const pushPatience = 25 * time.Second

// Awaited is how long the end of the tracking of a run has to wait for its pushes yet.
func Awaited(run events.Run, now time.Time) time.Duration {
	if run.Completed == nil || len(run.Unpublished()) == 0 {
		return 0
	}
	return max(pushPatience-now.Sub(run.Completed.EndedAt), 0)
}
