package audit

import (
	"path"
	"strings"

	"github.com/tunebus/tunebus/cmd/tunebus/internal/audit/snapshot"
	"github.com/tunebus/tunebus/events"
)

// tagDeleted is the tag of the MLflow runs of a deleted run.
const tagDeleted = "tunebus.deleted"

// deletionAudit checks that nothing is left of a deleted run but the fact that says
// it, that its tracker is done, and its MLflow runs with their tag.
type deletionAudit struct {
	*findings
	objects map[string]snapshot.Object
	tracked []snapshot.TrackedRun
	// referenced are the keys and folders that other runs refer to.
	referenced map[string]bool
}

func (a deletionAudit) check(r *runHistory) {
	for _, f := range r.facts {
		switch f.event.(type) {
		case events.PipelineDeleted, events.TrackingCompleted:
		default:
			a.add(Left, f.Subject, "is a fact of a deleted run")
		}
	}
	for p := range r.progress {
		a.add(Left, "metric points of "+string(p)+" of run "+r.id, "are those of a deleted run")
	}
	if r.run.Tracked == nil || !r.run.Tracked.Deleted {
		a.add(Stuck, events.TrackingCompleted{RunID: r.id}.Subject(), "the run was deleted, and no tracker has said that it is done")
	}
	for key := range a.objects {
		if strings.HasPrefix(key, "runs/"+r.id+"/") && !a.referenced[key] && !a.referenced[path.Dir(key)+"/"] {
			a.add(Left, key, "is an artifact of a deleted run")
		}
	}
	for _, t := range a.tracked {
		if t.Tags["tunebus.run_id"] == r.id && t.Tags[tagDeleted] == "" {
			a.add(Lost, t.Folder, "has no tag %s, and its run was deleted", tagDeleted)
		}
	}
}
