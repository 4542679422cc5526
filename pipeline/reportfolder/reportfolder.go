// Package reportfolder says in which folder the reports of a run are.
//
//	dir, err := reportfolder.Of("reports", run.ID, run.Accepted.RequestedAt)
//
// It is the folder of the run's id, unless a run of another data folder or server with the
// same id has its reports there: both were asked for at other times. The later one has a folder
// beside it, of the id and the time of the request.
package reportfolder

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
)

// SummaryName is the file that is written first, and tells of which run the reports are.
const SummaryName = "pipeline_summary.json"

// separator is no part of any run id.
const separator = "."

// Of is the absolute path of the folder of a run below the folder of all reports. requested
// is when the run was asked for; the zero time if that is not known.
func Of(reports, id string, requested time.Time) (string, error) {
	plain, err := filepath.Abs(filepath.Join(reports, id)) // a run id is a valid token, so it is the name of one folder
	if err != nil || requested.IsZero() {
		return plain, err
	}
	beside := plain + separator + requested.UTC().Format("20060102T150405.000000000Z")
	if _, err := os.Stat(beside); err == nil {
		return beside, nil
	}
	owner, err := ownerOf(plain)
	if err != nil || owner.IsZero() || owner.Equal(requested) {
		return plain, err
	}
	return beside, nil
}

// OfRun is [Of] with what the facts of a run tell.
func OfRun(reports string, run events.Run) (string, error) {
	var requested time.Time
	if run.Accepted != nil {
		requested = run.Accepted.RequestedAt
	} else if run.Deleted != nil {
		requested = run.Deleted.RequestedAt
	}
	return Of(reports, run.ID, requested)
}

// RunOf is the id of the run whose reports are in a folder of this name.
func RunOf(name string) string {
	id, _, _ := strings.Cut(name, separator)
	return id
}

// ownerOf is when the run was asked for whose reports are in a folder; the zero time if the
// folder does not tell.
func ownerOf(dir string) (time.Time, error) {
	path := filepath.Join(dir, SummaryName)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("whose reports are in %s: %w", dir, err)
	}
	var summary struct {
		RequestedAt time.Time `json:"requested_at"`
	}
	if json.Unmarshal(text, &summary) != nil { // no file of tunebus, or of an early version
		return time.Time{}, nil
	}
	return summary.RequestedAt, nil
}
