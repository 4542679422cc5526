package view

import (
	"fmt"
	"io"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view/terminal"
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/runsummary"
)

// WritePublished writes what became of the pushes to the Hub.
func WritePublished(w io.Writer, s runsummary.Summary) {
	Section(w, s.Published, "PUSHED\tSTATE\tWHERE", func(p events.PublishedCompleted) string {
		return fmt.Sprintf("%s\t%s\t%s", p.What, p.Outcome, Inline(pushedTo(p)))
	})
	for _, p := range s.Published {
		if why := notPushed(p); why != "" {
			fmt.Fprintf(w, "\nnot pushed: %s: %s\n", p.What, terminal.Completed(w, why))
		}
		for _, note := range p.Notes {
			fmt.Fprintf(w, "\nnote of %s: %s\n", Inline(p.Repository), terminal.Completed(w, note))
		}
	}
	for _, what := range s.Unpublished {
		fmt.Fprintf(w, "\nnot pushed yet: %s\n", what)
	}
}

// pushedTo is where a product is, or was to be.
func pushedTo(p events.PublishedCompleted) string {
	switch {
	case p.Outcome == events.Pushed:
		return p.Link
	case p.Repository != "":
		return p.Repository
	default:
		return "-"
	}
}

// notPushed says why a product was not pushed; empty if it was.
func notPushed(p events.PublishedCompleted) string {
	if p.Error != nil {
		return p.Error.Message
	}
	return p.Reason
}

// published says what became of a push, as a line of a run that is followed.
func (c *Console) published(p events.PublishedCompleted) {
	if why := notPushed(p); why != "" {
		c.Say("%-10s not pushed to the Hub: %s", p.What, Sentence(why))
		return
	}
	c.Say("%-10s pushed to the Hub: %s", p.What, Inline(p.Link))
}

// Republished is the result of a push that was repeated, for scripts.
type Republished struct {
	events.PublishedCompleted
	Recorded  bool `json:"recorded"`
	Unchanged bool `json:"unchanged,omitempty"`
	DryRun    bool `json:"dry_run,omitempty"`
}

// Row is the line of a push that was repeated.
func (r Republished) Row() Row {
	what := "pushed"
	where := r.Link
	switch {
	case notPushed(r.PublishedCompleted) != "":
		what, where = "not pushed", notPushed(r.PublishedCompleted)
	case r.DryRun:
		what, where = "would be pushed", r.Repository
	case r.Unchanged:
		what = "there already"
	}
	return Row{r, fmt.Sprintf("%-26s  %-11s  %s  %s", r.RunID, r.What, what, Printable(where))}
}
