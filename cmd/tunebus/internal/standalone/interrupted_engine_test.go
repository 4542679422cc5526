package standalone_test

import (
	"context"
	"errors"
	"time"

	"github.com/tunebus/tunebus/pipeline/bus/checkpoint"
	"github.com/tunebus/tunebus/pipeline/engine"
)

// interrupted cancels the first attempt of a run once it has saved a checkpoint.
func (s *testServer) interrupted(e engine.Engine, run string) engine.Func {
	return func(ctx context.Context, job *engine.Job) (engine.Result, error) {
		if job.Request.RunID != run || job.Attempt > 1 {
			return e.Run(ctx, job)
		}
		ctx, cancel := context.WithCancelCause(ctx)
		stop := make(chan struct{})
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			tick := time.NewTicker(time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := checkpoint.New(s.bus).Load(ctx, run, job.Request.Phase); !errors.Is(err, checkpoint.ErrNone) {
					cancel(errors.New("the machine is stopped"))
					return
				}
				select {
				case <-stop:
					return
				case <-tick.C:
				}
			}
		}()
		res, err := e.Run(ctx, job)
		close(stop)
		<-watched
		if err == nil {
			return res, errors.New("the attempt was faster than its interruption")
		}
		return res, err
	}
}
