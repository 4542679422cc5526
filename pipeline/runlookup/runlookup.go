// Package runlookup finds the run that a person means: by its id, by the
// beginning of its id, by its name, or as the last one.
//
//	id, err := runlookup.Find(ctx, text, lister, archived)
//
// # Order
//
// The id of a run always means that run. [Last] is the run that was accepted
// last, unless a run has that id. Then ids that begin with the text count, and
// only if there are none, names that are equal to it. Runs of the stream come
// before archived ones, so that a lookup reads the archive only if the stream has
// nothing to offer.
//
// A text that fits several runs is an [*AmbiguousError] and never a guess. A text
// that fits none is returned as it is: it may be the id of a run that was
// requested a moment ago.
package runlookup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
)

// Last means the run that was accepted last.
const Last = "last"

// ErrNoRuns means that there is no last run, because no run was ever accepted.
var ErrNoRuns = errors.New("no run was accepted yet")

// Run is a run that a text can mean.
type Run struct {
	ID, Name string
	// At is the time of its request.
	At time.Time
}

// Runs are runs in one place: the stream, or the archive.
type Runs interface {
	// IDs lists the runs, in any order.
	IDs(ctx context.Context) ([]string, error)
	// Describe describes runs. It leaves out those that it can not read.
	Describe(ctx context.Context, ids []string) ([]Run, error)
	// Newest is the run that was accepted last; the zero Run if there is none.
	Newest(ctx context.Context) (Run, error)
}

// AmbiguousError means that a text fits several runs.
type AmbiguousError struct {
	Text string
	Runs []Run // the newest first
}

// shownRuns is how many of the runs the text of an [AmbiguousError] lists.
const shownRuns = 10

func (e *AmbiguousError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q may mean any of %d runs; give the id of one:", e.Text, len(e.Runs))
	for i, r := range e.Runs {
		if i == shownRuns {
			fmt.Fprintf(&b, "\n  and %d more", len(e.Runs)-shownRuns)
			break
		}
		fmt.Fprintf(&b, "\n  %s  %s  %s", r.ID, r.At.Local().Format(time.DateTime), r.Name)
	}
	return b.String()
}

// Find returns the id of the run that text means in the first of the places that
// has one, or text itself. Errors of a place are returned, except where an earlier
// place has the run.
func Find(ctx context.Context, text string, places ...Runs) (string, error) {
	for i, place := range places {
		ids, err := place.IDs(ctx)
		if err != nil {
			return "", err
		}
		if slices.Contains(ids, text) {
			return text, nil
		}
		if text == Last && i == 0 {
			newest, err := place.Newest(ctx)
			if err != nil || newest.ID != "" {
				return newest.ID, err
			}
		}
		fitting, err := fit(ctx, text, place, ids, i > 0)
		switch {
		case err != nil:
			return "", err
		case len(fitting) == 1:
			return fitting[0].ID, nil
		case len(fitting) > 1:
			return "", &AmbiguousError{Text: text, Runs: fitting}
		}
	}
	if text == Last {
		return "", ErrNoRuns
	}
	return text, nil
}

// fit returns the runs that a text may mean, the newest first. An exact name counts before the
// beginning of an id; in the archive, whose names are read one by one, only where no id
// begins with the text.
func fit(ctx context.Context, text string, place Runs, ids []string, archived bool) ([]Run, error) {
	if text == "" {
		return nil, nil
	}
	var beginning []string
	if events.ValidToken(text) { // otherwise no id can begin with it
		for _, id := range ids {
			if strings.HasPrefix(id, text) {
				beginning = append(beginning, id)
			}
		}
	}
	if len(beginning) == 0 || !archived {
		all, err := place.Describe(ctx, ids)
		if err != nil {
			return nil, err
		}
		if named := slices.DeleteFunc(all, func(r Run) bool { return r.Name != text }); len(named) > 0 {
			return newestFirst(named), nil
		}
	}
	if len(beginning) < 2 {
		found := make([]Run, len(beginning))
		for i, id := range beginning {
			found[i].ID = id
		}
		return found, nil
	}
	found, err := place.Describe(ctx, beginning)
	if err != nil {
		return nil, err
	}
	for _, id := range beginning { // a run that can not be read is a run as well
		if !slices.ContainsFunc(found, func(r Run) bool { return r.ID == id }) {
			found = append(found, Run{ID: id})
		}
	}
	return newestFirst(found), nil
}

func newestFirst(runs []Run) []Run {
	slices.SortFunc(runs, func(a, b Run) int { return b.At.Compare(a.At) })
	return runs
}
