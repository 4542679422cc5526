// Package hubcache renders what was removed from the cache of the Hub.
package hubcache

import (
	"fmt"
	"io"
	"time"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/cli/view"
	"github.com/tunebus/tunebus/events"
)

// Removed is what was removed, or would be. Its JSON is part of the program's
// interface.
type Removed struct {
	Folder string `json:"folder"`
	DryRun bool   `json:"dry_run,omitempty"`
	Items  []Item `json:"removed"`
	Bytes  int64  `json:"bytes"`
	// Kept is how many models and data sets stay because they were used of late.
	Kept int `json:"kept"`
}

// Item is a model or a data set at a commit.
type Item struct {
	Repository string    `json:"repository"`
	Commit     string    `json:"commit"`
	Bytes      int64     `json:"bytes"`
	Used       time.Time `json:"used"`
}

// Add adds one that was removed.
func (r *Removed) Add(repository, commit string, bytes int64, used time.Time) {
	r.Items = append(r.Items, Item{Repository: repository, Commit: commit, Bytes: bytes, Used: used.UTC()})
	r.Bytes += bytes
}

// Result is what was removed.
func Result(r Removed) view.Result {
	if r.Items == nil {
		r.Items = []Item{}
	}
	return view.NewResult(r, func(w io.Writer) {
		verb := "removed"
		if r.DryRun {
			verb = "would remove"
		}
		for _, i := range r.Items {
			fmt.Fprintf(w, "%s %s at %.12s, %s bytes, used last %s\n", verb, view.Printable(i.Repository), i.Commit, events.Count(i.Bytes), i.Used.Format(time.DateTime))
		}
		fmt.Fprintf(w, "%s: %s %s models and data sets, %s bytes; %s were used of late and stay\n",
			view.Printable(r.Folder), verb, events.Count(len(r.Items)), events.Count(r.Bytes), events.Count(r.Kept))
	})
}
