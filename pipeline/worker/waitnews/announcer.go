// Package waitnews publishes what an attempt at a phase waits for, so that whoever
// follows the run sees it.
//
//	a := waitnews.Start(ctx, journal, log)
//	defer a.Stop()
//	a.SetAttempt(func() events.Progress { … }) // as soon as there is one
//	a.Announce("the artifact store to have room")
//	a.Announce("") // the wait is over
package waitnews

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/tunebus/tunebus/events"
)

// Publisher publishes metric events.
type Publisher interface {
	PublishMetric(ctx context.Context, ev events.Event) error
}

// Announcer publishes waits. It has a goroutine of its own from the first wait on,
// because publishing may block, and whoever announces must not.
type Announcer struct {
	publisher Publisher
	log       *slog.Logger
	attempt   atomic.Pointer[func() events.Progress]
	news      chan string // what it waits for, or ""; the newest alone
	start     func()
	done      sync.WaitGroup
}

// Start starts an announcer. Stop has to be called.
func Start(ctx context.Context, p Publisher, log *slog.Logger) *Announcer {
	a := &Announcer{publisher: p, log: log, news: make(chan string, 1)}
	a.start = sync.OnceFunc(func() {
		a.done.Go(func() {
			for waitsFor := range a.news {
				a.publish(ctx, waitsFor)
			}
		})
	})
	return a
}

// SetAttempt sets the function that returns which attempt waits, and its step. Before
// that nothing is published.
func (a *Announcer) SetAttempt(of func() events.Progress) { a.attempt.Store(&of) }

// Announce has a wait published, or its end if waitsFor is empty. It never blocks, and
// only one goroutine may call it.
func (a *Announcer) Announce(waitsFor string) {
	a.start()
	select {
	case <-a.news: // it was not published yet, and is not true any more
	default:
	}
	a.news <- waitsFor
}

// Stop ends the announcer, after the last call of Announce.
func (a *Announcer) Stop() {
	close(a.news)
	a.done.Wait()
}

func (a *Announcer) publish(ctx context.Context, waitsFor string) {
	of := a.attempt.Load()
	if of == nil {
		return
	}
	ev := (*of)()
	ev.WaitsFor = waitsFor
	if err := a.publisher.PublishMetric(ctx, ev); err != nil {
		a.log.DebugContext(ctx, "wait not published", "error", err)
	}
}
