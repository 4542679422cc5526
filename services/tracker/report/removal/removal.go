// Package removal removes the reports of deleted runs: the folder of a run, and its
// entry in the list of runs.
//
// The reports of a run are where its tracker wrote them, which need not be where the
// present tracker writes. The links of the run tell.
//
//	done, err := removal.Removal{Deleted: fact, Dir: "reports"}.Run(ctx)
package removal

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/reportfolder"
	"github.com/tunebus/tunebus/services/tracker/report"
	"github.com/tunebus/tunebus/services/tracker/report/runlist"
)

// Removal says what is removed.
type Removal struct {
	Deleted events.PipelineDeleted
	// Sequence is that of the fact that says that the run is deleted.
	Sequence uint64
	// Dir is the folder of the present tracker's reports; empty: it writes none.
	Dir string
	// Earlier are folders of reports into which earlier trackers of the same runs wrote.
	Earlier []string
	// AnyFolder is set if the reports are removed wherever the links lead.
	AnyFolder bool
	// List takes an entry of the list in Dir.
	List func(context.Context, runlist.Entry) error
}

// Done is what a removal left.
type Done struct {
	// Gaps are what could not be removed, Notes what a person may want to know.
	Gaps, Notes []string

	// found is set once a folder with reports, or the entry, was there.
	found bool
}

// Run removes the reports.
func (r Removal) Run(ctx context.Context) (done Done, err error) {
	run := r.Deleted.RunID
	if !events.ValidToken(run) { // it is the name of one folder
		return done, fmt.Errorf("%q is no run id", run)
	}
	entry := runlist.Entry{RunID: run, RequestedAt: r.Deleted.RequestedAt, Status: events.StatusDeleted, Sequence: r.Sequence}
	own := ""
	if r.Dir != "" {
		if own, err = reportfolder.Of(r.Dir, run, r.Deleted.RequestedAt); err != nil {
			return done, err
		}
		if err := done.removeFolder(own); err != nil {
			return done, err
		}
		listed, err := runlist.New(r.Dir).Has(entry)
		if err != nil {
			return done, err
		}
		done.found = done.found || listed
		if err := r.List(ctx, entry); err != nil {
			return done, err
		}
	}
	for _, reports := range r.Earlier {
		if reports == r.Dir {
			continue
		}
		if err := r.removeEarlier(ctx, reports, entry, &done); err != nil {
			return done, err
		}
	}
	linked := linkedFolder(r.Deleted)
	switch {
	case linked == own, slices.Contains(r.Earlier, filepath.Dir(linked)):
	case linked == "":
		if r.AnyFolder && len(r.Deleted.Links) == 0 && !done.found {
			done.gap("it was not tracked to its end, so that nothing tells where its reports are; %s has none of them", r.Dir)
		}
	case !exists(filepath.Dir(linked)):
		if !done.found {
			done.note("its reports were in %s, which is not there any more", linked)
		}
	case !r.AnyFolder:
		if exists(linked) {
			done.gap("its reports are in %s, and this tracker writes to %s: remove that folder, and its line in the list beside it, by hand", linked, r.Dir)
		}
	default:
		if dir, err := reportfolder.Of(filepath.Dir(linked), run, r.Deleted.RequestedAt); err != nil {
			return done, err
		} else if dir != linked { // another run of that id has its reports there now
			return done, nil
		}
		if err := done.removeFolder(linked); err != nil {
			return done, err
		}
		return done, runlist.New(filepath.Dir(linked)).Update(ctx, entry)
	}
	return done, nil
}

// removeEarlier removes what an earlier tracker wrote into its folder of reports. What cannot be
// removed there is a gap, and keeps nothing else from being removed.
func (r Removal) removeEarlier(ctx context.Context, reports string, entry runlist.Entry, done *Done) error {
	dir, err := reportfolder.Of(reports, r.Deleted.RunID, r.Deleted.RequestedAt)
	if err == nil {
		err = done.removeFolder(dir)
	}
	var listed bool
	if err == nil {
		listed, err = runlist.New(reports).Has(entry)
	}
	if err == nil && listed {
		done.found = true
		err = runlist.New(reports).Update(ctx, entry)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		done.gap("an earlier tracker wrote its reports to %s, and they were not removed there: %v", reports, err)
	}
	return nil
}

func (d *Done) gap(format string, args ...any) { d.Gaps = append(d.Gaps, fmt.Sprintf(format, args...)) }
func (d *Done) note(format string, args ...any) {
	d.Notes = append(d.Notes, fmt.Sprintf(format, args...))
}

// removeFolder removes what a tracker wrote into a folder.
func (d *Done) removeFolder(dir string) error {
	found, foreign, err := report.Remove(dir)
	d.found = d.found || found
	for _, path := range foreign {
		d.note("%s stays: tunebus did not write it", path)
	}
	return err
}

// linkedFolder is the folder that the links to the reports of a run lead to; empty if
// there are none.
func linkedFolder(deleted events.PipelineDeleted) string {
	for name, path := range deleted.Links {
		if strings.HasPrefix(name, "mlflow_") || filepath.Base(path) != name || !filepath.IsAbs(path) {
			continue
		}
		if dir := filepath.Dir(path); reportfolder.RunOf(filepath.Base(dir)) == deleted.RunID {
			return dir
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
