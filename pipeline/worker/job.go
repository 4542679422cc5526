package worker

import (
	"errors"
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/delivery"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/localinput"
)

// parseJob returns the job of a delivery. A message that is no job of the phase
// becomes a dead letter.
func parseJob(d delivery.Delivery, phase events.Phase) (events.PhaseRequested, error) {
	req, ok := d.Event.(events.PhaseRequested)
	if !ok || req.Phase != phase {
		return events.PhaseRequested{}, &delivery.DeadLetterError{Err: fmt.Errorf("%s is no job of %s", d.Subject, phase)}
	}
	return req, nil
}

// checkStore checks that every input lies in the worker's store, or is a local
// input of its data folder. The job is not
// claimed at that time, so it can wait for a worker with the right store.
func checkStore(in events.Inputs, store string, local engine.Local) error {
	for _, r := range in.References() {
		if localinput.Is(r) && (local == nil || r.Store != local.StoreID()) {
			return fmt.Errorf("the input %s stays on the machine with data folder %s, which this worker does not work on", r.Key, r.Store)
		}
		if !localinput.Is(r) && r.Store != store {
			return fmt.Errorf("artifact %s lies in store %s, this worker has store %s: check its artifact settings", r.Key, r.Store, store)
		}
	}
	return nil
}

// settleUnreadable settles a job whose run cannot be read. A fact of a newer
// version waits for a newer worker. A malformed fact needs a person, so the job
// becomes a dead letter.
func (w *Worker) settleUnreadable(d delivery.Delivery, req events.PhaseRequested, err error) error {
	if _, ok := errors.AsType[*events.UnknownVersionError](err); ok {
		w.cfg.Logger.Warn("job given back: a newer worker may know it", "run", req.RunID, "phase", req.Phase, "error", err)
		return &delivery.RetryAfter{Delay: delivery.RedeliveryDelay(d.Delivered, w.cfg.Timing.WrongWorkerDelay), Err: err}
	}
	if _, ok := errors.AsType[*events.MalformedError](err); ok {
		return &delivery.DeadLetterError{Err: err}
	}
	return err
}
