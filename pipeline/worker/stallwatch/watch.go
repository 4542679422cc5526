// Package stallwatch watches a delivery of a job for a stall, and says what hangs: in the
// log, with the stacks of the job, and on the server, where doctor finds the slot that is
// held.
//
//	slot := stallwatch.NewSlot(announce, heldslot.Record{…})
//	defer slot.Free()
//	defer stallwatch.Delivery{Monitor: m, Slot: slot, …}.Watch()()
package stallwatch

import (
	"context"
	"log/slog"
	"time"

	"github.com/tunebus/tunebus/pipeline/progress"
)

// Delivery is a delivery that is watched.
type Delivery struct {
	Monitor *progress.Monitor
	// Job is the label of its goroutines, see [progress.Labelled].
	Job  string
	Slot *Slot
	// StopHeartbeat ends the heartbeats, so that the job goes to another worker.
	StopHeartbeat func()
	// EndWork ends the context of the work.
	EndWork context.CancelCauseFunc
	// Announce shows whoever follows the run what it waits for.
	Announce func(waitsFor string)
	Logger   *slog.Logger
}

// Watch watches the delivery until stop is called.
func (d Delivery) Watch() (stop func()) {
	return d.Monitor.Watch(progress.Callbacks{OnStall: d.stalled, OnWait: d.waits, OnWaiting: d.Announce})
}

// stalled lets the job go to another worker, ends the work, and tells the operator.
func (d Delivery) stalled(s *progress.Stall) {
	d.StopHeartbeat()
	d.EndWork(s)
	d.Slot.Hold(s.Error())
	about := []any{"stage", s.Stage, "idle", s.Idle.Round(time.Millisecond), "limit", s.Limit}
	if s.Doing != "" {
		about = append(about, "doing", s.Doing)
	}
	if s.WaitsFor != "" {
		about = append(about, "waits_for", s.WaitsFor)
	}
	d.Logger.Error("the job makes no progress; another worker gets it, and this slot takes no other job until the work has returned", about...)
	// A line of its own, since it is long.
	d.Logger.Warn("where the job without progress stands", "stacks", progress.Stacks(d.Job))
}

func (d Delivery) waits(waitsFor string, limit time.Duration) {
	about := []any{"waits_for", waitsFor}
	if limit > 0 {
		about = append(about, "limit", limit)
	}
	d.Logger.Info("the job waits", about...)
}
