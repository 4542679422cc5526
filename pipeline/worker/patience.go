package worker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/pipeline/artifact"
)

// patiently asks the artifact store again and again while it is full or away,
// for [Config.Patience] at most, so that this does not cost hours of work:
// the job keeps what it made, its heartbeat goes on, and somebody can make
// room. It ends early with ctx.
func (j *Job) patiently(ctx context.Context, what string, ask func() error) error {
	const shortest, longest = 500 * time.Millisecond, 30 * time.Second
	over := time.Now().Add(j.worker.cfg.Patience)
	for delay := shortest; ; delay = min(2*delay, longest) {
		err := ask()
		var unavailable *artifact.UnavailableError
		if !errors.As(err, &unavailable) || time.Now().Add(delay).After(over) {
			return err
		}
		j.worker.log(ctx, slog.LevelError, j.claim, "the artifact store is full or away; the job keeps its work and tries again",
			"what", what, "again", delay, "until", over.UTC().Format(time.RFC3339), "error", err)
		timer := time.NewTimer(delay)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err
		}
	}
}
