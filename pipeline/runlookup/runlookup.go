// Package runlookup finds the run that a person means: by its id, by the
// beginning of its id, by its name, or as the last one.
//
//	id, err := runlookup.Find(ctx, text, lister, archived)
//
// # Order
//
// The id of a run always means that run, wherever it is: no run is found by the
// beginning of its id, or by its name, as long as any place has a run of exactly
// that id. [Last] is the run that was accepted last, unless the first place has a
// run of that id. Then names that are equal to the text count, and only if there
// are none, ids that begin with it. Names and beginnings of ids of archived runs, which are
// [Named], and of rejected requests count as much as those of the stream: no place hides
// that a text fits a run of a later one. A lookup reads of the archive what the lines of runs
// do not tell.
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

// Named are runs whose names count, too, where an earlier place has a run of a name.
type Named interface {
	// WithName returns the runs among the ids that have a name.
	WithName(ctx context.Context, name string, ids []string) ([]Run, error)
}

// AmbiguousError means that a text fits several runs.
type AmbiguousError struct {
	Text string
	Runs []Run // the newest first
}

// shownRuns is how many of the runs the text of an [AmbiguousError] lists.
const shownRuns = 10

// oneLine keeps a name within its line of the list. Other characters that steer a terminal are
// escaped where errors are written.
var oneLine = strings.NewReplacer("\n", `\n`, "\t", `\t`, "\r", `\r`)

func (e *AmbiguousError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q may mean any of %d runs; give the id of one:", e.Text, len(e.Runs))
	for i, r := range e.Runs {
		if i == shownRuns {
			fmt.Fprintf(&b, "\n  and %d more", len(e.Runs)-shownRuns)
			break
		}
		fmt.Fprintf(&b, "\n  %s", r.ID)
		if !r.At.IsZero() {
			b.WriteString("  " + r.At.Local().Format(time.DateTime))
		}
		if r.Name != "" {
			b.WriteString("  " + oneLine.Replace(r.Name))
		}
	}
	return b.String()
}

// Find returns the id of the run that text means in the first of the places that
// has one, or text itself. Errors of a place are returned, except where an earlier
// place has a run of that id or name.
func Find(ctx context.Context, text string, places ...Runs) (string, error) {
	listed := make([][]string, len(places))
	failed := make([]error, len(places))
	for i, place := range places {
		listed[i], failed[i] = place.IDs(ctx)
		if i == 0 && failed[i] != nil {
			return "", failed[i]
		}
		if slices.Contains(listed[i], text) {
			return text, nil
		}
		if text == Last && i == 0 {
			newest, err := place.Newest(ctx)
			if err != nil || newest.ID != "" {
				return newest.ID, err
			}
		}
	}
	for i, place := range places {
		if failed[i] != nil {
			return "", failed[i]
		}
		fitting, named, err := fit(ctx, text, place, listed[i])
		if err == nil && named {
			fitting, err = addNamed(ctx, text, fitting, places[i+1:], listed[i+1:])
		}
		if err == nil && len(fitting) > 0 && !named { // it may be the whole id of a run that could not be looked for
			if err = errors.Join(failed[i:]...); err == nil {
				fitting, err = addBegun(ctx, text, fitting, places[i+1:], listed[i+1:])
			}
		}
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

// addNamed adds the runs of later places that have a name, too. A place that cannot be read adds
// none.
func addNamed(ctx context.Context, name string, found []Run, places []Runs, listed [][]string) ([]Run, error) {
	for i, place := range places {
		named, ok := place.(Named)
		ids := slices.DeleteFunc(slices.Clone(listed[i]), func(id string) bool {
			return slices.ContainsFunc(found, func(r Run) bool { return r.ID == id })
		})
		if !ok || len(ids) == 0 {
			continue
		}
		more, err := named.WithName(ctx, name, ids)
		if err != nil {
			return nil, err
		}
		found = append(found, more...)
	}
	slices.SortFunc(found, func(a, b Run) int { return b.At.Compare(a.At) })
	return found, nil
}

// addBegun adds the runs of later places whose ids begin with a text, too. What cannot be
// described of them is left out: their ids are enough to choose one.
func addBegun(ctx context.Context, text string, found []Run, places []Runs, listed [][]string) ([]Run, error) {
	for i, place := range places {
		var ids []string
		for _, id := range listed[i] {
			if begins(id, text) && !slices.Contains(ids, id) && !slices.ContainsFunc(found, func(r Run) bool { return r.ID == id }) {
				ids = append(ids, id)
			}
		}
		if len(ids) == 0 {
			continue
		}
		slices.Sort(ids)
		described, err := place.Describe(ctx, ids[:min(len(ids), shownRuns)]) // of the others there is only the number
		if err != nil && ctx.Err() != nil {
			return nil, err
		}
		for _, id := range ids {
			run := Run{ID: id}
			if j := slices.IndexFunc(described, func(r Run) bool { return r.ID == id }); j >= 0 {
				run = described[j]
			}
			found = append(found, run)
		}
	}
	slices.SortStableFunc(found, func(a, b Run) int { return b.At.Compare(a.At) })
	return found, nil
}

// fit returns the runs that a text may mean, the newest first: those of that name, or
// else those whose ids begin with it.
func fit(ctx context.Context, text string, place Runs, ids []string) (found []Run, named bool, err error) {
	if text == "" {
		return nil, false, nil
	}
	all, err := place.Describe(ctx, ids)
	if err != nil {
		return nil, false, err
	}
	named = slices.ContainsFunc(all, func(r Run) bool { return r.Name == text })
	for _, r := range all {
		if named && r.Name == text || !named && begins(r.ID, text) {
			found = append(found, r)
		}
	}
	for _, id := range ids { // a run that can not be read is a run as well
		if !named && begins(id, text) && !slices.ContainsFunc(found, func(r Run) bool { return r.ID == id }) {
			found = append(found, Run{ID: id})
		}
	}
	slices.SortFunc(found, func(a, b Run) int { return b.At.Compare(a.At) })
	return found, named, nil
}

// begins reports whether an id begins with a text that may be the beginning of one.
func begins(id, text string) bool { return events.ValidToken(text) && strings.HasPrefix(id, text) }
