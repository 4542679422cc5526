package mlflow

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
)

type wireExperiment struct {
	ID    string `json:"experiment_id"`
	Stage string `json:"lifecycle_stage"`
}

type wireRun struct {
	Info struct {
		ID          string `json:"run_id"`
		StartTime   int64  `json:"start_time"`
		Status      Status `json:"status"`
		ArtifactURI string `json:"artifact_uri"`
	} `json:"info"`
	Data struct {
		Params []wirePair `json:"params"`
	} `json:"data"`
}

// goesOn is 1 for a run that has not ended, else 0.
func (r wireRun) goesOn() int {
	if r.Info.Status == Running {
		return 1
	}
	return 0
}

type wirePair struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

func (c *rest) Experiment(ctx context.Context, name string) (string, error) {
	if err := checkExperiment(name); err != nil {
		return "", err
	}
	name = cut(name, maxExperiment)
	id, err := c.findExperiment(ctx, name)
	if err == nil || !hasCode(err, codeMissing) {
		return id, err
	}
	var created wireExperiment
	err = c.post(ctx, "experiments/create", struct {
		Name string `json:"name"`
	}{name}, &created)
	if hasCode(err, codeExists) { // by another writer, or by a try whose answer was lost
		return c.findExperiment(ctx, name)
	}
	if err != nil {
		return "", fmt.Errorf("create experiment %q: %w", name, err)
	}
	return created.ID, nil
}

func (c *rest) findExperiment(ctx context.Context, name string) (string, error) {
	var found struct {
		Experiment wireExperiment `json:"experiment"`
	}
	err := c.get(ctx, "experiments/get-by-name", url.Values{"experiment_name": {name}}, &found)
	if err == nil && found.Experiment.Stage == "deleted" {
		err = c.post(ctx, "experiments/restore", struct {
			ID string `json:"experiment_id"`
		}{found.Experiment.ID}, nil)
	}
	if err != nil {
		return "", fmt.Errorf("find experiment %q: %w", name, err)
	}
	return found.Experiment.ID, nil
}

// EnsureRun searches before each try to create, since the try before may have
// been obeyed, and once after it, since another writer may have come between.
func (c *rest) EnsureRun(ctx context.Context, experimentID string, key RunKey, r Run) (string, error) {
	var id string
	err := c.retry(ctx, func() error {
		var err error
		if id, err = c.oldestRun(ctx, experimentID, key); id != "" || err != nil {
			return err
		}
		return c.createRun(ctx, experimentID, key, r)
	})
	if err == nil && id == "" {
		failpoint.Here(failpoint.MLflowUnrecorded)
		id, err = c.oldestRun(ctx, experimentID, key)
		if err == nil && id == "" {
			err = ErrNoRun
		}
	}
	if err != nil {
		return "", fmt.Errorf("create run %q: %w", r.Name, err)
	}
	return id, nil
}

func (c *rest) createRun(ctx context.Context, experimentID string, key RunKey, r Run) error {
	tags := startTags(key, r)
	body := struct {
		Experiment string     `json:"experiment_id"`
		Name       string     `json:"run_name"`
		User       string     `json:"user_id,omitempty"`
		StartTime  int64      `json:"start_time"`
		Tags       []wirePair `json:"tags"`
	}{Experiment: experimentID, Name: runName(r.Name), StartTime: millis(r.StartTime)}
	for _, t := range tags {
		if t.Key == tagUser {
			body.User = t.Value
		}
		body.Tags = append(body.Tags, wirePair(t))
	}
	return c.postOnce(ctx, "runs/create", body, nil)
}

// oldestRun finds the run with the key, or "". It deletes all others that have
// it; of those that started together one that has ended stays, since its writer
// may be done with it, else the first by id, for every writer.
func (c *rest) oldestRun(ctx context.Context, experimentID string, key RunKey) (string, error) {
	var found struct {
		Runs []wireRun `json:"runs"`
	}
	runTag, err := quoteFilter(cleanText(key.RunID, maxTag))
	if err != nil {
		return "", err
	}
	phaseTag, err := quoteFilter(cleanText(key.Phase, maxTag))
	if err != nil {
		return "", err
	}
	err = c.post(ctx, "runs/search", struct {
		Experiments []string `json:"experiment_ids"`
		Filter      string   `json:"filter"`
		Max         int      `json:"max_results"`
	}{[]string{experimentID}, "tags.`" + TagRunID + "` = " + runTag + " AND tags.`" + TagPhase + "` = " + phaseTag, 100}, &found)
	if err != nil || len(found.Runs) == 0 {
		return "", err
	}
	slices.SortFunc(found.Runs, func(a, b wireRun) int {
		return cmp.Or(cmp.Compare(a.Info.StartTime, b.Info.StartTime), cmp.Compare(a.goesOn(), b.goesOn()), strings.Compare(a.Info.ID, b.Info.ID))
	})
	for _, extra := range found.Runs[1:] {
		if err := c.post(ctx, "runs/delete", runIDBody{extra.Info.ID}, nil); err != nil && !errors.Is(err, ErrNoRun) {
			return "", err
		}
	}
	return found.Runs[0].Info.ID, nil
}

type runIDBody struct {
	ID string `json:"run_id"`
}

// quoteFilter writes a text of a search filter, which has no escapes.
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

func (c *rest) getRun(ctx context.Context, id string) (wireRun, error) {
	var answer struct {
		Run wireRun `json:"run"`
	}
	err := c.get(ctx, "runs/get", url.Values{"run_id": {id}}, &answer)
	return answer.Run, err
}

func (c *rest) EndRun(ctx context.Context, runID string, status Status, end time.Time) error {
	err := status.checkEnd()
	if err == nil {
		err = c.post(ctx, "runs/update", struct {
			ID     string `json:"run_id"`
			Status Status `json:"status"`
			End    int64  `json:"end_time"`
		}{runID, status, millis(end)}, nil)
	}
	if err != nil {
		return fmt.Errorf("end run %s: %w", runID, err)
	}
	return nil
}

func (c *rest) RunURL(experimentID, runID string) string {
	return c.base.String() + "#/experiments/" + experimentID + "/runs/" + runID
}
