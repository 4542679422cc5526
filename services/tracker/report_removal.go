package tracker

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/report"
	"github.com/tunebus/tunebus/services/tracker/report/runlist"
)

// reportRemoval is the removal of the reports of one deleted run.
type reportRemoval struct {
	deleted events.PipelineDeleted
	// entry takes the run out of a list of runs.
	entry runlist.Entry
	// found is set once a folder with its reports was there.
	found       bool
	gaps, notes []string
}

// remove removes the folder of a run and its entry in the list of runs: those of this
// tracker, and those where the links of the run lead, which another tracker may have
// written. sequence is that of the fact that says that the run is deleted.
func (w *reportWriter) remove(ctx context.Context, deleted events.PipelineDeleted, sequence uint64) (reportRemoval, error) {
	r := reportRemoval{deleted: deleted, entry: runlist.Entry{RunID: deleted.RunID, Status: events.StatusDeleted, Sequence: sequence}}
	if !events.ValidToken(deleted.RunID) { // it is the name of one folder
		return r, fmt.Errorf("%q is no run id", deleted.RunID)
	}
	own := ""
	if w.dir != "" {
		var err error
		if own, err = filepath.Abs(filepath.Join(w.dir, deleted.RunID)); err != nil {
			return r, err
		}
		if err := r.removeFolder(own); err != nil {
			return r, err
		}
		if err := w.list.add(ctx, r.entry); err != nil {
			return r, err
		}
	}
	linked := linkedReports(deleted)
	switch {
	case linked == own:
		return r, nil
	case linked == "":
		if w.anyFolder && len(deleted.Links) == 0 && !r.found {
			r.gaps = append(r.gaps, fmt.Sprintf("it was not tracked to its end, so that nothing tells where its reports are; %s has none of them", w.dir))
		}
		return r, nil
	case !exists(filepath.Dir(linked)):
		if !r.found {
			r.notes = append(r.notes, fmt.Sprintf("its reports were in %s, which is not there any more", linked))
		}
		return r, nil
	case !w.anyFolder:
		if exists(linked) {
			r.gaps = append(r.gaps, fmt.Sprintf("its reports are in %s, and this tracker writes to %s: remove that folder, and its line in the list beside it, by hand", linked, w.dir))
		}
		return r, nil
	}
	if err := r.removeFolder(linked); err != nil {
		return r, err
	}
	return r, runlist.New(filepath.Dir(linked)).Update(ctx, r.entry)
}

// removeFolder removes what a tracker wrote into a folder.
func (r *reportRemoval) removeFolder(dir string) error {
	found, foreign, err := report.Remove(dir)
	r.found = r.found || found
	for _, path := range foreign {
		r.notes = append(r.notes, path+" stays: tunebus did not write it")
	}
	return err
}

// linkedReports is the folder that the links to the reports of a run lead to; empty if
// there are none.
func linkedReports(deleted events.PipelineDeleted) string {
	for name, path := range deleted.Links {
		if strings.HasPrefix(name, "mlflow_") || filepath.Base(path) != name || !filepath.IsAbs(path) {
			continue
		}
		if dir := filepath.Dir(path); filepath.Base(dir) == deleted.RunID {
			return dir
		}
	}
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
