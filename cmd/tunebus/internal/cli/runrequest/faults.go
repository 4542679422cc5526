package runrequest

import (
	"fmt"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/exit"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// Faulty returns the error of a request or of settings that have faults; nil
// without any. Each fault names its file and its key.
// Long texts and long lists are cut as those of a rejection are.
func Faulty(faults structconf.Faults) error {
	if len(faults) == 0 {
		return nil
	}
	return exit.Input(fmt.Errorf("%s:\n%w", view.Count(len(faults), "fault"), bounded(faults)))
}

func bounded(faults structconf.Faults) structconf.Faults {
	shown := len(faults)
	if shown > events.MaxFaults {
		shown = events.MaxFaults - 1
	}
	out := make(structconf.Faults, 0, shown+1)
	for _, f := range faults[:shown] {
		f.Key, f.Value = events.Cut(f.Key, events.MaxNameBytes), events.Cut(f.Value, events.MaxNameBytes)
		f.Allowed, f.Message = events.Cut(f.Allowed, events.MaxNoteBytes), events.Cut(f.Message, events.MaxNoteBytes)
		out = append(out, f)
	}
	if left := len(faults) - shown; left > 0 {
		out = append(out, faultOf(events.MoreFaults(left)))
	}
	return out
}

// faultOf returns a fault of an event as the screen shows it.
func faultOf(f events.Fault) structconf.Fault {
	return structconf.Fault{Key: f.Key, Value: f.Value, Allowed: f.Allowed, Message: f.Message}
}

// faultsOf returns faults of an event as the screen shows them.
func faultsOf(faults []events.Fault) structconf.Faults {
	var out structconf.Faults
	for _, f := range faults {
		out = append(out, faultOf(f))
	}
	return out
}
