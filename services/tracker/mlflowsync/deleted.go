package mlflowsync

import (
	"context"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/projection"
)

// TagDeleted is the tag of the MLflow runs of a deleted run. Its value is the time.
const TagDeleted = "tunebus.deleted"

// MarkDeleted tags the MLflow runs of a deleted run. MLflow keeps them, because a
// registered model or another tool may refer to them.
func (s *Syncer) MarkDeleted(ctx context.Context, deleted events.PipelineDeleted) (Result, error) {
	result := Result{Links: map[string]string{}}
	target, err := s.target(events.Run{Accepted: &events.PipelineAccepted{
		Specification: events.Specification{MLflow: events.MLflow{TrackingURI: deleted.TrackingURI}},
	}})
	if err != nil { // as for the run itself, a retry would not help
		result.Gaps = append(result.Gaps, err.Error())
		return result, nil
	}
	found, err := target.FindRuns(ctx, deleted.ExperimentName, projection.Keys(deleted.RunID))
	if err != nil {
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
