// Package inputplace tells whether a worker can reach the inputs of a job.
//
//	if err := inputplace.Check(inputs, storeID, folder); err != nil {
//		// another worker can
//	}
package inputplace

import (
	"fmt"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/engine"
	"github.com/tunebus/tunebus/pipeline/localinput"
)

// Check checks that every input lies in the worker's store, or is a local
// input of its data folder; local is nil for a worker without one. The job is not claimed at
// that time, so it can wait for a worker with the right store.
func Check(in events.Inputs, store string, local engine.Local) error {
	for _, r := range in.References() {
		if localinput.Is(r) && (local == nil || r.Store != local.StoreID()) {
			return fmt.Errorf("the input %s stays on the machine with data folder %s, which this worker does not work on; submit a run with --copy-inputs to let any worker take it", r.Key, r.Store)
		}
		if !localinput.Is(r) && r.Store != store {
			return fmt.Errorf("artifact %s lies in store %s, this worker has store %s: check its artifact settings", r.Key, r.Store, store)
		}
	}
	return nil
}
