package audit

import (
	"maps"
	"slices"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
)

// checkKnownRuns checks that each MLflow run, report folder and line of the list
// of runs belongs to an accepted run.
func checkKnownRuns(s snapshot.State, h history, found *findings) {
	accepted := func(id string) bool {
		r := h.find(id)
		return r != nil && r.isAccepted()
	}
	for _, t := range s.Tracked {
		r := h.find(t.Tags["tunebus.run_id"])
		if r != nil && r.isDeleted() {
			continue // MLflow keeps its runs
		}
		if r == nil || !r.isAccepted() {
			found.add(Left, t.Folder, "is an MLflow run of no run")
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.Reports)) {
		if !accepted(id) {
			found.add(Left, id, "has reports and is no run")
		}
	}
	for _, line := range s.List {
		if !accepted(line.RunID) {
			found.add(Left, line.RunID, "is in the list of runs and is no run")
		}
	}
}

// indexLease is held by a tracker for as long as it runs, and belongs to no run.
const indexLease = "tunebus_leases/run_index"

// checkLeftovers checks that no checkpoint, lease, temporary file or process is
// left.
func checkLeftovers(s snapshot.State, found *findings) {
	for _, bucket := range []string{"tunebus_checkpoints", "tunebus_leases"} {
		if _, ok := s.Keys[bucket]; !ok {
			found.add(Lost, bucket, "the bucket is gone")
		}
		for _, key := range s.Keys[bucket] {
			if bucket+"/"+key == indexLease {
				continue
			}
			found.add(Left, bucket+"/"+key, "is a key that its owner should have removed")
		}
	}
	for _, name := range s.Left {
		found.add(Left, name, "should not be there")
	}
}
