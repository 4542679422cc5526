// Package freeworker says what a queued job waits for: for a worker that is missing, for
// one of those that all work, and for which runs they do, or for another one than those
// that gave it back.
package freeworker

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/codec"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/bus/history"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// How many open runs are looked at, and how many are named.
const (
	mostLooks = 50
	mostNamed = 3
)

// Awaited says what a queued job of the run waits for, such as "a free worker of
// finetune/builtin, which works on nightly (r7)", or what [Untaken] says. It is empty if no
// job of the run is queued, if the workers of its queue are missing, or if the queue works on
// no other run: a worker may be about to say that it has taken the job.
func Awaited(ctx context.Context, b *conn.Conn, run events.Run, queues []topology.Queue) (string, error) {
	if what := Untaken(run, queues, time.Now()); what != "" {
		return what, nil
	}
	job, queued := runsummary.Queued(run)
	if !queued || !isBusy(job, queues) {
		return "", nil
	}
	open, err := runlister.New(b).Open(ctx)
	if err != nil {
		return "", err
	}
	var names []string
	for i, id := range open {
		if i == mostLooks || len(names) == mostNamed {
			break
		}
		other, err := history.New(b).Run(ctx, id)
		if err != nil && !codec.IsUndecodable(err) {
			return "", err
		}
		if id != run.ID && worksOn(other, job) {
			names = append(names, fmt.Sprintf("%s (%s)", other.Accepted.RunName, id))
		}
	}
	if len(names) == 0 {
		return "", nil
	}
	return fmt.Sprintf("a free worker of %s/%s, which works on %s", job.Phase, job.Queue, strings.Join(names, " and ")), nil
}

// isBusy reports whether workers take jobs from the queue, and all of them work.
func isBusy(job events.Step, queues []topology.Queue) bool {
	for _, q := range queues {
		if q.Phase == job.Phase && q.Name == job.Queue {
			return q.Held > 0 && q.Idle == 0
		}
	}
	return false
}

// worksOn reports whether a worker of the queue of a job works on a run.
func worksOn(run events.Run, job events.Step) bool {
	phase, _, running := runsummary.Running(run)
	if !running || phase != job.Phase {
		return false
	}
	for _, step := range run.Accepted.Plan {
		if step.Phase == phase {
			return step.Queue == job.Queue
		}
	}
	return false
}
