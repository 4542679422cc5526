package mlflowsync

import (
	"context"
	"errors"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/projection"
	"github.com/tunebus/tunebus/services/tracker/report"
)

// mlflowWriter writes one pipeline run to one target.
type mlflowWriter struct {
	target     mlflow.Target
	experiment string
	store      ArtifactStore
	metrics    PublishedMetrics
	result     Result
	model      loggedModel
}

// writeAll writes the parent without its end, then the phases, and ends the
// parent last.
func (w *mlflowWriter) writeAll(ctx context.Context, snapshot projection.Snapshot, parent projection.MLflowRun, files []report.File) error {
	parentID, err := w.ensureRun(ctx, parent)
	if err != nil {
		return err
	}
	for _, step := range snapshot.Run.Accepted.Plan {
		if !snapshot.HasChild(step.Phase) {
			continue
		}
		child := snapshot.Child(step.Phase)
		child.Run.ParentID = parentID
		if err := w.writePhase(ctx, step.Phase, snapshot.Run, child, files); err != nil {
			return err
		}
	}
	for _, f := range files {
		if err := w.putReport(ctx, parentID, f); err != nil {
			return err
		}
	}
	if err := w.register(ctx, parentID, snapshot.Run); err != nil {
		return err
	}
	return w.endRun(ctx, parentID, parent)
}

// writePhase writes the run of a phase. Metric history and artifacts exist
// once the phase is completed.
func (w *mlflowWriter) writePhase(ctx context.Context, p events.Phase, run events.Run, child projection.MLflowRun, files []report.File) error {
	id, err := w.ensureRun(ctx, child)
	if err != nil {
		return err
	}
	done := run.Phases[p].Completed
	if done == nil {
		w.result.Running = append(w.result.Running, RunningPhase{Phase: p, Target: w.target, ID: id})
	}
	failpoint.Here(failpoint.MLflowMetrics)
	if done != nil {
		if err := w.putArtifacts(ctx, id, run, done); err != nil {
			return err
		}
		if err := w.logHistory(ctx, id, run.ID, p, done); err != nil {
			return err
		}
		if p == events.Evaluation {
			if err := w.putEvaluationReports(ctx, id, files); err != nil {
				return err
			}
		}
	}
	failpoint.Here(failpoint.MLflowArtifacts)
	if err := w.endRun(ctx, id, child); err != nil {
		return err
	}
	failpoint.Here(failpoint.MLflowEnded)
	return nil
}

// ensureRun creates a run if it is missing, and writes its values.
func (w *mlflowWriter) ensureRun(ctx context.Context, r projection.MLflowRun) (id string, err error) {
	if id, err = w.target.EnsureRun(ctx, w.experiment, r.Key, r.Run); err != nil {
		return "", err
	}
	failpoint.Here(failpoint.MLflowCreated)
	w.result.Links["mlflow_"+r.Key.Phase] = w.target.RunURL(w.experiment, id)
	err = w.target.LogParams(ctx, id, r.Params)
	if conflict, ok := errors.AsType[*mlflow.ParamConflictError](err); ok {
		// MLflow never changes a parameter: the version that wrote the run first
		// stays there, and is no gap.
		keys := slices.DeleteFunc(slices.Clone(conflict.Keys), func(key string) bool { return key == projection.ParamVersion })
		if gap := mlflow.NewParamConflict(conflict.RunID, keys); gap != nil {
			w.result.Gaps = append(w.result.Gaps, gap.Error())
		}
	} else if err != nil {
		return "", err
	}
	failpoint.Here(failpoint.MLflowParams)
	if err := w.target.SetTags(ctx, id, r.Tags); err != nil {
		return "", err
	}
	if err := w.target.LogInputs(ctx, id, r.Inputs); err != nil {
		return "", err
	}
	return id, w.target.LogMetrics(ctx, id, r.Metrics)
}

// endRun does nothing while the run goes on.
func (w *mlflowWriter) endRun(ctx context.Context, id string, r projection.MLflowRun) error {
	if r.Status == "" {
		return nil
	}
	return w.target.EndRun(ctx, id, r.Status, r.End)
}
