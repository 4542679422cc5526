package localrun

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/waiting"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/conn"
	"github.com/tunebus/tunebus/pipeline/runwatch"
)

// waitingRequests are the requests that no intake had looked at when this process took the
// data folder. Its own intake leaves them alone until it is decided what becomes of them.
type waitingRequests struct {
	all       []waiting.Request
	sequences map[uint64]bool
	// found is closed once all are known, and decided once it is decided what becomes of them.
	found, decided chan struct{}
	// left is set if they are left to a later process.
	left bool
}

func newWaitingRequests() *waitingRequests {
	return &waitingRequests{sequences: map[uint64]bool{}, found: make(chan struct{}), decided: make(chan struct{})}
}

// find looks for the requests, before another command can ask this process for a run.
func (w *waitingRequests) find(ctx context.Context, b *conn.Conn) error {
	err := waiting.Each(ctx, b, func(one waiting.Request) error {
		w.all = append(w.all, one)
		w.sequences[one.Sequence] = true
		return nil
	})
	if err == nil {
		close(w.found)
	}
	return err
}

// decide says, once, whether the requests are left to a later process.
func (w *waitingRequests) decide(left bool) {
	w.left = left
	close(w.decided)
}

// hold waits for the decision and reports whether a request is left to a later process, as all
// are if ctx ends before it. One that came since waits for nothing.
func (w *waitingRequests) hold(ctx context.Context, request uint64) bool {
	select {
	case <-w.found:
	case <-ctx.Done():
		return true
	}
	if !w.sequences[request] {
		return false
	}
	select {
	case <-w.decided:
		return w.left
	case <-ctx.Done():
		return true
	}
}

// ids are those of the runs that the requests ask for. They may be any text, and are made fit
// for a line.
func (w *waitingRequests) ids() (ids []string) {
	for _, one := range w.all {
		ids = append(ids, view.Inline(one.RunID))
	}
	return ids
}

// say names the requests.
func (w *waitingRequests) say(console *view.Console, folder string) {
	const shown = 10
	if len(w.all) == 0 {
		return
	}
	console.Say("%s for intake on the data folder %s:", wait(len(w.all)), folder)
	for i, one := range w.all {
		if i == shown {
			console.Say("  and %d more", len(w.all)-shown)
			break
		}
		name := ""
		if one.RunName != "" {
			name = " (" + view.Inline(one.RunName) + ")"
		}
		console.Say("  %s%s, since %s", view.Inline(one.RunID), name, one.At.Local().Format(time.DateTime))
	}
}

// admit has intake look at the requests, and returns the runs that it accepts.
func (w *waitingRequests) admit(ctx context.Context, console *view.Console, b *conn.Conn) (accepted []string, err error) {
	w.decide(false)
	const patience = 3 * time.Second // see [delivery.LeftAloneDelay]
	slow := time.AfterFunc(patience, func() {
		console.Say("an earlier process left the requests alone; they come again within half a minute, after a long run of it within ten")
	})
	defer slow.Stop()
	for _, one := range w.all {
		if !events.ValidToken(one.RunID) { // no run can have it: intake rejects the request
			continue
		}
		run, err := runwatch.On(b).Decision(ctx, one.RunID, one.Sequence)
		if rejected, ok := errors.AsType[*runwatch.RejectedError](err); ok {
			console.Say("run %s: %v", one.RunID, rejected)
			continue
		}
		if err != nil {
			return nil, err
		}
		if run != nil {
			accepted = append(accepted, one.RunID)
		}
	}
	return accepted, nil
}

// wait counts requests, with the verb for their number.
func wait(n int) string {
	if n == 1 {
		return "1 request waits"
	}
	return fmt.Sprintf("%d requests wait", n)
}
