// Package rejection renders requests that were rejected.
package rejection

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/bus/runlister"
	"github.com/tunebus/tunebus/pipeline/structconf"
)

// rejected is a rejected request, for scripts.
type rejected struct {
	RunID string `json:"run_id"`
	// Asked is the id that the request asks for, if no run may have it.
	Asked   string            `json:"requested_run_id,omitempty"`
	RunName string            `json:"run_name,omitempty"`
	Status  events.Status     `json:"status"`
	Request uint64            `json:"request_sequence"`
	At      time.Time         `json:"rejected_at"`
	Labels  map[string]string `json:"labels,omitempty"`
	Faults  []events.Fault    `json:"faults"`
}

// Result is everything that is known of a rejected request.
func Result(r runlister.Rejected) view.Result {
	value := rejected{
		RunID: r.ID(), RunName: r.RunName, Status: events.StatusRejected, Request: r.RequestSequence, At: r.At.UTC(), Labels: r.Labels, Faults: r.Faults,
	}
	if r.RunID != r.ID() {
		value.Asked = r.RunID
	}
	return view.NewResult(value, func(w io.Writer) {
		name := r.ID()
		if r.RunName != "" {
			name = fmt.Sprintf("%s (%s)", view.Inline(r.RunName), name)
		}
		fmt.Fprintf(w, "%s: rejected at %s, so there is no run; request %d has %s:\n",
			name, r.At.Local().Format(time.DateTime), r.RequestSequence, view.Count(len(r.Faults), "fault"))
		if len(r.Labels) > 0 {
			var labels []string
			for _, key := range slices.Sorted(maps.Keys(r.Labels)) {
				labels = append(labels, view.Inline(key)+"="+view.Inline(r.Labels[key]))
			}
			fmt.Fprintf(w, "  labels: %s\n", strings.Join(labels, ", "))
		}
		for _, f := range r.Faults {
			fault := structconf.Fault{Key: f.Key, Value: f.Value, Allowed: f.Allowed, Message: f.Message}
			fmt.Fprintf(w, "  %s\n", view.Inline(fault.String()))
		}
	})
}
