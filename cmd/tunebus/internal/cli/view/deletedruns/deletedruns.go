// Package deletedruns renders what a deletion of runs removed, or would remove.
package deletedruns

import (
	"cmp"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
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
	// Left is what could not be removed or marked, Notes what a person may want to know.
	Left  []string `json:"left,omitempty"`
	Notes []string `json:"notes,omitempty"`
}

// Left is what is left of deleted runs beside their artifacts.
type Left struct {
	// pending is why a tracker has still to do its part, and who does it.
	pending, gaps, notes []string
}

// Wait says why a tracker has still to do its part, and who does it. The error may be
// several that were joined.
func (l *Left) Wait(err error, who string) {
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // one that was wrapped is one
		all = joined.Unwrap()
	}
	for _, one := range all {
		l.pending = append(l.pending, one.Error())
	}
	l.pending = append(l.pending, who)
}

// Add adds what the tracker said about a deleted run.
func (l *Left) Add(run string, done events.TrackingCompleted) {
	for _, gap := range done.Gaps {
		l.gaps = append(l.gaps, fmt.Sprintf("run %s: %s", run, gap))
	}
	for _, note := range done.Notes {
		l.notes = append(l.notes, fmt.Sprintf("run %s: %s", run, note))
	}
}

// Any reports whether something is left that the deletion was to remove or to mark.
func (l Left) Any() bool { return len(l.all()) > 0 }

// all is what is left, a line each.
func (l Left) all() []string { return append(l.gaps[:len(l.gaps):len(l.gaps)], l.pending...) }

// Result is what was deleted. If a person has seen which runs these are, the text does
// not repeat it.
func Result(r deletion.Report, left Left, seen bool) view.Result {
	return view.NewResult(deleted{r, false, len(left.pending) > 0, left.all(), left.notes}, func(w io.Writer) {
		if !seen {
			table(w, r)
		}
		sums(w, r, "removed", "was")
		if !seen {
			stays(w, r)
		}
		for _, line := range left.all() {
			fmt.Fprintf(w, "left: %s\n", terminal.Completed(w, view.Printable(line)))
		}
		for _, line := range left.notes {
			fmt.Fprintf(w, "note: %s\n", terminal.Completed(w, view.Printable(line)))
		}
	})
}

// DryRun is what would be deleted.
func DryRun(r deletion.Report) view.Result {
	return view.NewResult(deleted{Report: r, DryRun: true}, func(w io.Writer) { plan(w, r) })
}

// Text is what would be deleted, before a person is asked.
func Text(r deletion.Report) string {
	var b strings.Builder
	plan(&b, r)
	return strings.TrimSuffix(b.String(), "\n")
}

// Names names runs in a question.
func Names(runs []deletion.Target) string {
	if len(runs) == 1 {
		return fmt.Sprintf("run %s (%s)", view.Inline(cmp.Or(runs[0].RunName, runs[0].RunID)), runs[0].RunID)
	}
	return view.Count(len(runs), "run")
}

func plan(w io.Writer, r deletion.Report) {
	table(w, r)
	sums(w, r, "would be removed", "is")
	stays(w, r)
}

// table lists the runs. It fits into 80 columns with ids that intake made.
func table(w io.Writer, r deletion.Report) {
	view.Table(w, r.Runs, "RUN\tNAME\tSTATUS\tENDED", func(t deletion.Target) string {
		status, ended := string(t.Status), ""
		if !t.EndedAt.IsZero() {
			ended = t.EndedAt.Local().Format(time.DateTime)
		}
		if t.Archived {
			status = "archived"
		}
		if t.Begun {
			status = "deleted"
		}
		return fmt.Sprintf("%s\t%s\t%s\t%s", t.RunID, view.Printable(t.RunName), status, ended)
	})
}

// count counts the facts that are removed, and the runs that were deleted before.
func count(r deletion.Report) (facts, before int) {
	for _, t := range r.Runs {
		facts += t.Facts
		if t.Begun {
			before++
		}
	}
	return facts, before
}

// NothingLeft reports whether all runs were deleted before, and nothing of them is left.
func NothingLeft(r deletion.Report) bool {
	facts, before := count(r)
	return before == len(r.Runs) && facts+r.Removed.Count+r.Archives.Count+r.Checkpoints+r.DeadLetters == 0
}

// sums says how much is removed. is is the verb for what is left of
// runs that were deleted before.
func sums(w io.Writer, r deletion.Report, verb, is string) {
	facts, before := count(r)
	of := "them"
	if before == 1 {
		of = "it"
	}
	switch {
	case NothingLeft(r):
		fmt.Fprintf(w, "deleted before; nothing of %s %s left to remove\n", of, is)
	default:
		fmt.Fprintf(w, "%s with %s, %s%s %s\n", view.Count(len(r.Runs), "run"), view.Count(facts, "fact"), size(r.Removed, "artifact"), more(r), verb)
	}
}

// stays says what stays, and why: what other runs use, and what is too young to be removed.
func stays(w io.Writer, r deletion.Report) {
	kept := gc.Sum{Count: r.Kept.Count - r.Shared.Count, Bytes: r.Kept.Bytes - r.Shared.Bytes}
	if r.Shared.Count > 0 {
		fmt.Fprintf(w, "%s %s: the runs of %s may need %s, in the same store\n",
			size(r.Shared, "artifact"), stay(r.Shared), view.Printable(strings.Join(r.SharedWith, ", ")), them(r.Shared))
	}
	used, young := gc.Sum{}, kept
	if len(r.UsedBy) > 0 {
		young = r.Young
		used = gc.Sum{Count: kept.Count - young.Count, Bytes: kept.Bytes - young.Bytes}
	}
	if used.Count > 0 {
		by := fmt.Sprintf("run %s uses %s", r.UsedBy[0], them(used))
		if len(r.UsedBy) > 1 {
			by = fmt.Sprintf("runs use %s: %s", them(used), strings.Join(r.UsedBy, ", "))
		}
		fmt.Fprintf(w, "%s %s: %s\n", size(used, "artifact"), stay(used), by)
	}
	if young.Count > 0 {
		why := fmt.Sprintf(`content of the last hour; "tunebus gc" removes %s when a day has passed`, them(young))
		fmt.Fprintf(w, "%s %s: %s\n", size(young, "artifact"), stay(young), terminal.Completed(w, why))
	}
}

func them(sum gc.Sum) string {
	if sum.Count == 1 {
		return "it"
	}
	return "them"
}

func stay(sum gc.Sum) string {
	if sum.Count == 1 {
		return "stays"
	}
	return "stay"
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
