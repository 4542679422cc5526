// Package deletedruns renders what a deletion of runs removed, or would remove.
package deletedruns

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/deletion"
	"github.com/tunebus/tunebus/pipeline/gc"
)

// deleted is the result of a deletion, for scripts.
type deleted struct {
	deletion.Report
	DryRun bool `json:"dry_run"`
	// TrackingPending says that the reports and the MLflow runs are not done yet.
	TrackingPending bool `json:"tracking_pending,omitempty"`
}

// Result is what was deleted, or would be. pending says that a tracker has still to
// do its part.
func Result(r deletion.Report, dryRun, pending bool) view.Result {
	return view.NewResult(deleted{r, dryRun, pending}, func(w io.Writer) {
		verb := "removed"
		if dryRun {
			verb = "would be removed"
		}
		write(w, r, verb)
	})
}

// Text is what would be deleted, before a person is asked.
func Text(r deletion.Report) string {
	var b strings.Builder
	write(&b, r, "would be removed")
	return strings.TrimSuffix(b.String(), "\n")
}

// Names names runs in a question.
func Names(runs []deletion.Target) string {
	if len(runs) == 1 {
		return fmt.Sprintf("run %s (%s)", view.Inline(cmp.Or(runs[0].RunName, runs[0].RunID)), runs[0].RunID)
	}
	return view.Count(len(runs), "run")
}

func write(w io.Writer, r deletion.Report, verb string) {
	view.Table(w, r.Runs, "RUN\tNAME\tSTATUS\tENDED\tFACTS", func(t deletion.Target) string {
		status, ended := string(t.Conclusion), ""
		if !t.EndedAt.IsZero() {
			ended = t.EndedAt.Local().Format(time.DateTime)
		}
		if t.Archived {
			status += ", archived"
		}
		if t.Begun {
			status = "deleted before"
		}
		return fmt.Sprintf("%s\t%s\t%s\t%s\t%d", t.RunID, view.Printable(t.RunName), status, ended, t.Facts)
	})
	fmt.Fprintf(w, "%s with %s%s %s\n", view.Count(len(r.Runs), "run"), size(r.Removed, "artifact"), more(r), verb)
	if r.Kept.Count == 0 {
		return
	}
	why := `content of the last hour, which "tunebus gc" removes later`
	if len(r.UsedBy) > 0 {
		why = "runs use it: " + strings.Join(r.UsedBy, ", ")
	}
	verb = "stay"
	if r.Kept.Count == 1 {
		verb = "stays"
	}
	fmt.Fprintf(w, "%s %s: %s\n", size(r.Kept, "artifact"), verb, why)
}

func size(sum gc.Sum, noun string) string {
	return fmt.Sprintf("%s (%s bytes)", view.Count(sum.Count, noun), events.Count(sum.Bytes))
}

// more lists what else is removed.
func more(r deletion.Report) string {
	var parts []string
	if r.Archives.Count > 0 {
		parts = append(parts, size(r.Archives, "archive"))
	}
	if r.Checkpoints > 0 {
		parts = append(parts, view.Count(r.Checkpoints, "checkpoint"))
	}
	if r.DeadLetters > 0 {
		parts = append(parts, view.Count(r.DeadLetters, "dead letter"))
	}
	if len(parts) == 0 {
		return ""
	}
	return " and " + strings.Join(parts, ", ")
}
