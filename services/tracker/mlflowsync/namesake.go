package mlflowsync

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/projection"
)

// isNamesake reports whether the MLflow run of a run id belongs to another run: one of
// another data folder or server that has the same id. Both were asked for at other times,
// and MLflow never changes that parameter. Nothing of the other run is changed.
func isNamesake(ctx context.Context, target mlflow.Target, snapshot projection.Snapshot, parent projection.MLflowRun) (bool, error) {
	found, err := target.FindRuns(ctx, snapshot.Run.Accepted.Specification.MLflow.ExperimentName, []mlflow.RunKey{parent.Key})
	if err != nil || len(found) == 0 {
		return false, err
	}
	return belongsToOther(ctx, target, found[0].ID, parent.Params)
}

// belongsToOther reports whether an MLflow run says that it was asked for at another time. The
// exact time is asked for last: a run of an earlier version gets it then.
func belongsToOther(ctx context.Context, target mlflow.Target, id string, params []mlflow.Param) (bool, error) {
	for _, key := range []string{projection.ParamRequested, projection.ParamRequestedExactly} {
		i := slices.IndexFunc(params, func(p mlflow.Param) bool { return p.Key == key })
		if i < 0 {
			continue
		}
		err := target.LogParams(ctx, id, params[i:i+1])
		if _, ok := errors.AsType[*mlflow.ParamConflictError](err); ok {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// namesakeGap says that a run is not in MLflow because another one has its id there.
func namesakeGap(id string) string {
	return fmt.Sprintf("MLflow has a run of another data folder with the id %s, and they are not mixed: this run is not in MLflow; "+
		"\"tunebus replay tracking --run %s --to file:./mlruns-2\" writes it to another MLflow", id, id)
}
