// Package rejection renders requests that were rejected.
package rejection

import (
	"fmt"
	"io"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// rejected is a rejected request, for scripts.
type rejected struct {
	RunID   string         `json:"run_id"`
	RunName string         `json:"run_name,omitempty"`
	Status  events.Status  `json:"status"`
	Request uint64         `json:"request_sequence"`
	At      time.Time      `json:"rejected_at"`
	Faults  []events.Fault `json:"faults"`
}

// Result is everything that is known of a rejected request.
func Result(r runlister.Rejected) view.Result {
	value := rejected{r.RunID, r.RunName, events.StatusRejected, r.RequestSequence, r.At.UTC(), r.Faults}
	return view.NewResult(value, func(w io.Writer) {
		name := view.Inline(r.RunID)
		if r.RunName != "" {
			name = fmt.Sprintf("%s (%s)", view.Inline(r.RunName), name)
		}
		fmt.Fprintf(w, "%s: rejected at %s, so there is no run; request %d has %s:\n",
			name, r.At.Local().Format(time.DateTime), r.RequestSequence, view.Count(len(r.Faults), "fault"))
		for _, f := range r.Faults {
			fault := structconf.Fault{Key: f.Key, Value: f.Value, Allowed: f.Allowed, Message: f.Message}
			fmt.Fprintf(w, "  %s\n", view.Inline(fault.String()))
		}
	})
}
