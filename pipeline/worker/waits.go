package worker

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/tunebus/tunebus/events"
)

// waitAnnouncer publishes what an attempt waits for, so that whoever follows the run
// sees it. It has a goroutine of its own, because publishing may block, and the
// monitor of the progress must not.
type waitAnnouncer struct {
	journal eventPublisher
	log     *slog.Logger
	attempt atomic.Pointer[attempt] // nil before there is one
	news    chan string             // what it waits for, or ""; the newest alone
	done    sync.WaitGroup
}

// announceWaits starts an announcer; stop has to be called after the last call of
// announce.
func announceWaits(ctx context.Context, j eventPublisher, log *slog.Logger) *waitAnnouncer {
	w := &waitAnnouncer{journal: j, log: log, news: make(chan string, 1)}
	w.done.Go(func() {
		for waitsFor := range w.news {
			w.publish(ctx, waitsFor)
		}
	})
	return w
}

// announce has a wait published, or its end if waitsFor is empty. It never blocks,
// and only one goroutine may call it.
func (w *waitAnnouncer) announce(waitsFor string) {
	select {
	case <-w.news: // it was not published yet, and is not true any more
	default:
	}
	w.news <- waitsFor
}

// stop ends the announcer.
func (w *waitAnnouncer) stop() {
	close(w.news)
	w.done.Wait()
}

func (w *waitAnnouncer) publish(ctx context.Context, waitsFor string) {
	a := w.attempt.Load()
	if a == nil {
		return
	}
	err := w.journal.PublishMetric(ctx, events.Progress{
		RunID:    a.req.RunID,
		Phase:    a.req.Phase,
		Attempt:  a.number,
		Step:     a.lastStep.Load(),
		WaitsFor: waitsFor,
	})
	if err != nil {
		w.log.DebugContext(ctx, "wait not published", "error", err)
	}
}
