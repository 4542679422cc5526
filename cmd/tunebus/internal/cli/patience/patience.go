// Package patience lets a command wait for something that does not answer: it tells the
// person every ten seconds what the command waits for, and ends the wait at its limit.
//
//	err := patience.Within(ctx, console, f.limit, func(err error) error {
//		return exit.Timeout(fmt.Errorf("run r did not end within %s", f.limit))
//	}, func(ctx context.Context) error { … })
//
// What is waited for is what the work has named with [progress.Doing], such as a key of the
// artifact store.
package patience

import (
	"context"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/pipeline/progress"
)

// Within calls do, and says what it waits for. A limit of 0 is none. If the limit is over
// before do has succeeded, the error is what over makes of that of do.
func Within(
	ctx context.Context, console *view.Console, limit time.Duration, over func(err error) error, do func(ctx context.Context) error,
) error {
	monitor := progress.New(nil, progress.Claim)
	stop := monitor.Watch(progress.Callbacks{OnIdle: func(doing string, idle time.Duration) {
		if doing != "" {
			console.Say("nothing has happened for %s while %s", idle.Round(time.Second), doing)
		}
	}})
	defer stop()
	ctx = progress.With(ctx, monitor)
	if limit <= 0 {
		return do(ctx)
	}
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	err := do(limited)
	if err == nil || ctx.Err() != nil || limited.Err() == nil {
		return err
	}
	return over(err)
}
