package follow

import (
	"context"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/freeworker"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/topology"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// waits says on the screen what a run waits for: a worker that is not there, or
// what its worker announces. It says it once, and again when it waits for
// something else.
type waits struct {
	console *view.Console
	queues  func(context.Context) ([]topology.Queue, error)
	// busy says what the job of a run waits for whose queue has no free worker.
	busy func(context.Context, events.Run, []topology.Queue) (string, error)

	// Of the look at queues, which follow makes:
	job   events.Step // whose queue was looked at
	looks int         // at it
	alone int         // looks in a row without a worker
	full  int         // looks in a row without a free worker
	back  int         // looks in a row with a free worker that does not take the job
	next  time.Time   // of the next look
	told  bool
	// toldBusy is set if the person knows for which runs the workers work. The job may
	// wait for something else, once they do not.
	toldBusy bool

	// Of the progress, which another goroutine shows:
	announced map[events.Phase]string
}

// A worker is away only if two looks in a row find none, because it may be about to
// ask for its next job.
const (
	looksWithoutWorker = 2
	// frequentLooks are the looks at a job's queue before they become rare: a
	// queue with workers may be long.
	frequentLooks = 5
	rareLooks     = 15 * time.Second
)

// look looks whether the job that a run waits for has a worker.
func (w *waits) look(ctx context.Context, run events.Run) {
	job, ok := runsummary.Queued(run)
	if !ok {
		w.job = events.Step{}
		return
	}
	if job != w.job {
		w.startLooking(job)
	}
	if w.told || time.Now().Before(w.next) {
		return
	}
	if w.looks++; w.looks > frequentLooks {
		w.next = time.Now().Add(rareLooks)
	}
	queues, err := w.queues(ctx)
	if err != nil { // following the run says so, if NATS is away
		return
	}
	queue := freeworker.Missing(run, queues)
	if queue == "" {
		w.alone = 0
		w.lookAtWorkers(ctx, run, queues)
		return
	}
	w.full, w.back = 0, 0
	if w.alone++; w.alone >= looksWithoutWorker {
		w.told = true
		w.console.Say("%-10s %s", job.Phase, view.WaitsForWorker(queue))
	}
}

// startLooking forgets the looks at the queue of an earlier job.
func (w *waits) startLooking(job events.Step) {
	w.job, w.looks, w.alone, w.full, w.back, w.told, w.toldBusy, w.next = job, 0, 0, 0, 0, false, false, time.Time{}
}

// lookAtWorkers looks why the workers of a queue do not take the job.
func (w *waits) lookAtWorkers(ctx context.Context, run events.Run, queues []topology.Queue) {
	what := freeworker.Untaken(run, queues, time.Now())
	switch {
	case what == "" && w.toldBusy:
		w.back = 0
	case what == "":
		w.back = 0
		w.lookAtBusy(ctx, run, queues)
	default:
		w.full = 0
		if w.back++; w.back >= looksWithoutWorker {
			w.told = true
			w.console.Say("%-10s %s", w.job.Phase, view.WaitsFor(what))
		}
	}
}

// lookAtBusy says for which runs the workers of the queue work that the run waits for.
func (w *waits) lookAtBusy(ctx context.Context, run events.Run, queues []topology.Queue) {
	what, err := w.busy(ctx, run, queues)
	if err != nil || what == "" {
		w.full = 0
		return
	}
	if w.full++; w.full >= looksWithoutWorker {
		w.toldBusy = true
		w.console.Say("%-10s %s", w.job.Phase, view.WaitsFor(what))
	}
}

// show says what the attempt at a phase waits for. Only one goroutine may call it.
func (w *waits) show(p events.Progress) {
	if p.WaitsFor == "" || p.WaitsFor == w.announced[p.Phase] {
		return
	}
	if w.announced == nil {
		w.announced = map[events.Phase]string{}
	}
	w.announced[p.Phase] = p.WaitsFor
	w.console.Say("%-10s %s", p.Phase, view.WaitsFor(p.WaitsFor))
}
