package mlflowsync

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/settings"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/projection"
)

// TagDeleted is the tag of the MLflow runs of a deleted run. Its value is the time.
const TagDeleted = "tunebus.deleted"

// MarkDeleted tags the MLflow runs of a deleted run. MLflow keeps them, because a
// registered model or another tool may refer to them.
func (s *Syncer) MarkDeleted(ctx context.Context, deleted events.PipelineDeleted) (Result, error) {
	result := Result{Links: map[string]string{}}
	if len(deleted.Links) > 0 && linkedAddress(deleted.Links) == nil {
		return result, nil // it was tracked, and is not in MLflow; a run of its id there is another one
	}
	address, gone, err := s.addresses.addressOfDeleted(deleted)
	if err != nil { // as for the run itself, a retry would not help
		result.Gaps = append(result.Gaps, "its MLflow runs are not marked: "+err.Error())
		return result, nil
	}
	target, err := s.targets.get(address)
	if err != nil {
		result.Gaps = append(result.Gaps, "its MLflow runs are not marked: "+err.Error())
		return result, nil
	}
	found, err := target.FindRuns(ctx, deleted.ExperimentName, projection.Keys(deleted.RunID))
	if err != nil {
		return result, err
	}
	if gone != "" && len(found) == 0 {
		result.Notes = append(result.Notes, fmt.Sprintf("its MLflow runs were in %s, which is not there any more; none is marked", gone))
	}
	if other, err := isOfNamesake(ctx, target, deleted, found); err != nil || other {
		return result, err
	}
	for _, run := range found {
		err := target.SetTags(ctx, run.ID, []mlflow.Tag{{Key: TagDeleted, Value: deleted.DeletedAt.UTC().Format(time.RFC3339)}})
		if err != nil {
			return result, err
		}
		result.Links["mlflow_"+run.Key.Phase] = target.RunURL(run.ExperimentID, run.ID)
	}
	return result, nil
}

// isOfNamesake reports whether MLflow runs are those of another run of the id of a deleted one,
// which has none there.
func isOfNamesake(ctx context.Context, target mlflow.Target, deleted events.PipelineDeleted, found []mlflow.FoundRun) (bool, error) {
	if deleted.RequestedAt.IsZero() { // by an earlier version
		return false, nil
	}
	parent := projection.Snapshot{Run: events.Run{Accepted: &events.PipelineAccepted{RunID: deleted.RunID, RequestedAt: deleted.RequestedAt}}}.Parent("")
	for _, run := range found {
		if run.Key == parent.Key {
			return belongsToOther(ctx, target, run.ID, parent.Params)
		}
	}
	return false, nil
}

// addressOfDeleted is the address where the MLflow runs of a deleted run are. Its
// links tell: the specification may name a relative folder, and the tracker of the
// run may have had another home. gone is the folder that the links name, if it is not
// there any more.
func (p addressPolicy) addressOfDeleted(deleted events.PipelineDeleted) (address, gone string, err error) {
	run := events.Run{Accepted: &events.PipelineAccepted{
		RequestedAt:   deleted.RequestedAt,
		Specification: events.Specification{MLflow: events.MLflow{TrackingURI: deleted.TrackingURI}},
	}}
	asked, err := p.homeOf(run)
	home := p.usualOf(run)
	linked := linkedAddress(deleted.Links)
	switch {
	case linked == nil:
		return asked, "", err
	case linked.Scheme == "file":
		if info, err := os.Stat(linked.Path); err != nil || !info.IsDir() {
			gone = linked.Path
			break
		}
		if folder := linked.String(); p.anyFolder || folder == home {
			return folder, "", nil
		}
		if address, err = p.folder(linked); err != nil {
			err = fmt.Errorf("they are in %s, where this tracker may not write", linked.Path)
		}
		return address, "", err
	case err == nil && settings.SameOrigin(asked, linked.String()):
		return asked, "", nil
	case settings.SameOrigin(home, linked.String()):
		return home, "", nil
	case slices.ContainsFunc(p.allowed, func(allowed string) bool { return settings.SameOrigin(allowed, linked.String()) }):
		return linked.String(), "", nil
	default:
		return "", "", fmt.Errorf("they are at %s://%s, which is not among the tracking servers that the settings allow (services.tracker.allowed)", linked.Scheme, linked.Host)
	}
	if err != nil { // there is nothing that could be marked
		return home, gone, nil
	}
	return asked, gone, nil
}

// linkedAddress is the tracking address of the MLflow runs that links lead to; nil if
// there is none.
func linkedAddress(links map[string]string) *url.URL {
	for name, link := range links {
		if !strings.HasPrefix(name, "mlflow_") {
			continue
		}
		u, err := url.Parse(link)
		if err != nil {
			continue
		}
		u.Fragment, u.RawFragment = "", "" // of a server's page
		if u.Scheme == "file" {
			return &url.URL{Scheme: "file", Path: path.Dir(path.Dir(u.Path))} // of the experiment, of the run
		}
		if u.Host != "" {
			return u
		}
	}
	return nil
}
