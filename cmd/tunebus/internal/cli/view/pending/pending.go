// Package pending renders runs that wait for intake.
package pending

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
)

// Status is the status of a run that waits for intake, the same in every JSON.
const Status events.Status = "waiting for intake"

// Run is a run that waits for intake.
type Run struct {
	RunID string
	// At is when its request was stored.
	At time.Time
}

// Result is everything that is known of such a run. do says what has an intake look at it.
func Result(r Run, do string) view.Result {
	value := map[string]any{"run_id": r.RunID, "status": Status, "requested_at": r.At.UTC()}
	return view.NewResult(value, func(w io.Writer) {
		fmt.Fprintf(w, "%s: %s since %s; no intake has looked at its request; %s\n",
			view.Inline(r.RunID), Status, r.At.Local().Format(time.DateTime), do)
	})
}

// shown is how many runs a line names.
const shown = 10

// Line names the runs that wait for intake, of which there are n, on one line.
func Line(first []Run, n int) string {
	var names []string
	for _, r := range first[:min(shown, len(first))] {
		names = append(names, view.Inline(r.RunID))
	}
	text := fmt.Sprintf("%s waiting for intake: %s", view.Count(n, "request"), strings.Join(names, ", "))
	if n > len(names) {
		text += fmt.Sprintf(" and %d more", n-len(names))
	}
	return text
}
