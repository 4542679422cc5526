package restapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// runs implements mlflow.Runs.
type runs struct{ api *client }

type wireExperiment struct {
	ID    string `json:"experiment_id"`
	Stage string `json:"lifecycle_stage"`
}

func (r runs) EnsureExperiment(ctx context.Context, name string) (string, error) {
	name, err := normalize.ExperimentName(name)
	if err != nil {
		return "", err
	}
	id, err := r.findExperiment(ctx, name)
	if err == nil || !hasCode(err, codeMissing) {
		return id, err
	}
	var created wireExperiment
	err = r.api.post(ctx, "experiments/create", struct {
		Name string `json:"name"`
	}{name}, &created)
	if hasCode(err, codeExists) { // by another writer, or by a try whose response was lost
		return r.findExperiment(ctx, name)
	}
	if err != nil {
		return "", fmt.Errorf("create experiment %q: %w", name, err)
	}
	return created.ID, nil
}

func (r runs) findExperiment(ctx context.Context, name string) (string, error) {
	var found struct {
		Experiment wireExperiment `json:"experiment"`
	}
	err := r.api.get(ctx, "experiments/get-by-name", url.Values{"experiment_name": {name}}, &found)
	if err == nil && found.Experiment.Stage == "deleted" {
		err = r.api.post(ctx, "experiments/restore", struct {
			ID string `json:"experiment_id"`
		}{found.Experiment.ID}, nil)
	}
	if err != nil {
		return "", fmt.Errorf("find experiment %q: %w", name, err)
	}
	return found.Experiment.ID, nil
}

// EnsureRun searches before each try to create, because the try before may have
// succeeded without a response, and once after it, because another writer may
// have created the run at the same time.
func (r runs) EnsureRun(ctx context.Context, experimentID string, key mlflow.RunKey, run mlflow.Run) (string, error) {
	var id string
	err := r.api.retry(ctx, func() error {
		var err error
		if id, err = r.oldestRun(ctx, experimentID, key); id != "" || err != nil {
			return err
		}
		return r.createRun(ctx, experimentID, key, run)
	})
	if err == nil && id == "" {
		failpoint.Here(failpoint.MLflowUnrecorded)
		id, err = r.oldestRun(ctx, experimentID, key)
		if err == nil && id == "" {
			err = mlflow.ErrNoRun
		}
	}
	if err != nil {
		return "", fmt.Errorf("create run %q: %w", run.Name, err)
	}
	return id, nil
}

func (r runs) createRun(ctx context.Context, experimentID string, key mlflow.RunKey, run mlflow.Run) error {
	tags := normalize.InitialTags(key, run)
	body := struct {
		Experiment string     `json:"experiment_id"`
		Name       string     `json:"run_name"`
		User       string     `json:"user_id,omitempty"`
		StartTime  int64      `json:"start_time"`
		Tags       []wirePair `json:"tags"`
	}{Experiment: experimentID, Name: normalize.RunName(run.Name), StartTime: normalize.Millis(run.StartTime)}
	for _, t := range tags {
		if t.Key == mlflow.TagUser {
			body.User = t.Value
		}
		body.Tags = append(body.Tags, wirePair(t))
	}
	return r.api.postOnce(ctx, "runs/create", body, nil)
}

// oldestRun returns the id of the run with the key, or "" if there is none. It
// deletes all other runs with the key. Of runs that started at the same time,
// one that has ended stays, because its writer may be done with it; or else the
// first by id, which is the same one for every writer.
func (r runs) oldestRun(ctx context.Context, experimentID string, key mlflow.RunKey) (string, error) {
	found, err := r.search(ctx, experimentID, key)
	if err != nil || len(found) == 0 {
		return "", err
	}
	slices.SortFunc(found, func(a, b wireRun) int {
		return cmp.Or(
			cmp.Compare(a.Info.StartTime, b.Info.StartTime),
			cmp.Compare(endedFirst(a), endedFirst(b)),
			strings.Compare(a.Info.ID, b.Info.ID),
		)
	})
	for _, extra := range found[1:] {
		if err := r.api.post(ctx, "runs/delete", runIDBody{extra.Info.ID}, nil); err != nil && !errors.Is(err, mlflow.ErrNoRun) {
			return "", err
		}
	}
	return found[0].Info.ID, nil
}

// endedFirst is a sort key: 0 for a run that has ended, else 1.
func endedFirst(run wireRun) int {
	if run.Info.Status == mlflow.Running {
		return 1
	}
	return 0
}

type runIDBody struct {
	ID string `json:"run_id"`
}

// search finds the runs with a key.
func (r runs) search(ctx context.Context, experimentID string, key mlflow.RunKey) ([]wireRun, error) {
	runTag, err := quoteFilter(normalize.Text(key.RunID, normalize.MaxTag))
	if err != nil {
		return nil, err
	}
	phaseTag, err := quoteFilter(normalize.Text(key.Phase, normalize.MaxTag))
	if err != nil {
		return nil, err
	}
	body := struct {
		Experiments []string `json:"experiment_ids"`
		Filter      string   `json:"filter"`
		Max         int      `json:"max_results"`
	}{
		Experiments: []string{experimentID},
		Filter:      "tags.`" + mlflow.TagRunID + "` = " + runTag + " AND tags.`" + mlflow.TagPhase + "` = " + phaseTag,
		Max:         100,
	}
	var found struct {
		Runs []wireRun `json:"runs"`
	}
	err = r.api.post(ctx, "runs/search", body, &found)
	return found.Runs, err
}

// FindRuns asks for the experiment without restoring it.
func (r runs) FindRuns(ctx context.Context, experiment string, keys []mlflow.RunKey) ([]mlflow.FoundRun, error) {
	name, err := normalize.ExperimentName(experiment)
	if err != nil {
		return nil, err
	}
	var named struct {
		Experiment wireExperiment `json:"experiment"`
	}
	err = r.api.get(ctx, "experiments/get-by-name", url.Values{"experiment_name": {name}}, &named)
	if hasCode(err, codeMissing) || err == nil && named.Experiment.Stage == "deleted" {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("find experiment %q: %w", name, err)
	}
	var found []mlflow.FoundRun
	for _, key := range keys {
		runs, err := r.search(ctx, named.Experiment.ID, key)
		if err != nil {
			return nil, err
		}
		for _, run := range runs {
			found = append(found, mlflow.FoundRun{ID: run.Info.ID, ExperimentID: named.Experiment.ID, Key: key})
		}
	}
	return found, nil
}

// quoteFilter quotes a text for a search filter, which has no escapes.
func quoteFilter(s string) (string, error) {
	switch {
	case !strings.Contains(s, "'"):
		return "'" + s + "'", nil
	case !strings.Contains(s, `"`):
		return `"` + s + `"`, nil
	default:
		return "", fmt.Errorf("run key %q: both kinds of quotes", s)
	}
}

func (r runs) EndRun(ctx context.Context, runID string, status mlflow.Status, end time.Time) error {
	err := status.CheckEnd()
	if err == nil {
		err = r.api.post(ctx, "runs/update", struct {
			ID     string        `json:"run_id"`
			Status mlflow.Status `json:"status"`
			End    int64         `json:"end_time"`
		}{runID, status, normalize.Millis(end)}, nil)
	}
	if err != nil {
		return fmt.Errorf("end run %s: %w", runID, err)
	}
	return nil
}

func (r runs) RunURL(experimentID, runID string) string {
	return r.api.base.String() + "#/experiments/" + experimentID + "/runs/" + runID
}
