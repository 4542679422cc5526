package restapi

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// The limits of one batch.
const (
	batchMetrics = 1000
	batchParams  = 100
	batchTags    = 100
)

// values implements mlflow.Values.
type values struct{ api *client }

type wireBatch struct {
	RunID   string       `json:"run_id"`
	Metrics []wireMetric `json:"metrics,omitempty"`
	Params  []wirePair   `json:"params,omitempty"`
	Tags    []wirePair   `json:"tags,omitempty"`
}

func (v values) logBatch(ctx context.Context, batch wireBatch) error {
	if !isRunID(batch.RunID) {
		return mlflow.ErrNoRun // the server would answer "invalid request"
	}
	return v.api.post(ctx, "runs/log-batch", batch, nil)
}

// isRunID reports whether MLflow accepts id as the id of a run.
func isRunID(id string) bool {
	for i, r := range id {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		if !letter && (i == 0 || r != '_' && r != '-') {
			return false
		}
	}
	return id != ""
}

type wireMetric struct {
	Key       string `json:"key"`
	Value     any    `json:"value"` // see wireNumber
	Timestamp int64  `json:"timestamp"`
	Step      int64  `json:"step"`
}

// LogParams sends missing parameters only, because the server refuses a whole
// batch if one of its parameters has changed.
func (v values) LogParams(ctx context.Context, runID string, params []mlflow.Param) error {
	params, conflicts := normalize.Params(params)
	// A second round, in case another writer adds a parameter between reading
	// and writing.
	for round := 1; ; round++ {
		missing, changed, err := v.missingParams(ctx, runID, params)
		if err == nil {
			err = v.sendParams(ctx, runID, missing)
		}
		if round == 1 && hasCode(err, codeInvalid) {
			continue
		}
		if err != nil {
			return fmt.Errorf("log parameters of run %s: %w", runID, err)
		}
		return mlflow.NewParamConflict(runID, append(conflicts, changed...))
	}
}

// missingParams compares parameters with those of the run. It returns those
// that the run does not have, and the names of those that it has with another
// value.
func (v values) missingParams(
	ctx context.Context, runID string, params []mlflow.Param,
) (missing []mlflow.Param, changed []string, err error) {
	run, err := v.api.getRun(ctx, runID)
	if err != nil {
		return nil, nil, err
	}
	stored := make(map[string]string, len(run.Data.Params))
	for _, p := range run.Data.Params {
		stored[p.Key] = p.Value
	}
	for _, p := range params {
		switch old, ok := stored[p.Key]; {
		case !ok:
			missing = append(missing, p)
		case old != p.Value:
			changed = append(changed, p.Key)
		}
	}
	return missing, changed, nil
}

func (v values) sendParams(ctx context.Context, runID string, params []mlflow.Param) error {
	for chunk := range slices.Chunk(params, batchParams) {
		batch := wireBatch{RunID: runID}
		for _, p := range chunk {
			batch.Params = append(batch.Params, wirePair(p))
		}
		if err := v.logBatch(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

func (v values) SetTags(ctx context.Context, runID string, tags []mlflow.Tag) error {
	for chunk := range slices.Chunk(normalize.Tags(tags), batchTags) {
		batch := wireBatch{RunID: runID}
		for _, t := range chunk {
			batch.Tags = append(batch.Tags, wirePair(t))
		}
		if err := v.logBatch(ctx, batch); err != nil {
			return fmt.Errorf("tag run %s: %w", runID, err)
		}
	}
	return nil
}

func (v values) LogMetrics(ctx context.Context, runID string, points []mlflow.Metric) error {
	for chunk := range slices.Chunk(points, batchMetrics) {
		batch := wireBatch{RunID: runID}
		for _, m := range chunk {
			batch.Metrics = append(batch.Metrics, wireMetric{normalize.Name(m.Key), wireNumber(m.Value), normalize.Millis(m.Timestamp), m.Step})
		}
		if err := v.logBatch(ctx, batch); err != nil {
			return fmt.Errorf("log metrics of run %s: %w", runID, err)
		}
	}
	return nil
}

// wireNumber is a JSON number, or the string that the server takes for a number
// that JSON does not have. The server would read a bare word as 0.
func wireNumber(v float64) any {
	switch {
	case math.IsNaN(v):
		return "NaN"
	case math.IsInf(v, 1):
		return "Infinity"
	case math.IsInf(v, -1):
		return "-Infinity"
	case v == 0:
		return 0.0 // not -0
	default:
		return v
	}
}

type wireInput struct {
	Tags    []wirePair  `json:"tags,omitempty"`
	Dataset wireDataset `json:"dataset"`
}

type wireDataset struct {
	Name       string `json:"name"`
	Digest     string `json:"digest"`
	SourceType string `json:"source_type"`
	Source     string `json:"source"`
	Schema     string `json:"schema,omitempty"`
	Profile    string `json:"profile,omitempty"`
}

func (v values) LogInputs(ctx context.Context, runID string, datasets []mlflow.Dataset) error {
	if len(datasets) == 0 {
		return nil
	}
	body := struct {
		RunID    string      `json:"run_id"`
		Datasets []wireInput `json:"datasets"`
	}{RunID: runID}
	for _, d := range datasets {
		d = normalize.Dataset(d)
		input := wireInput{Dataset: wireDataset{d.Name, d.Digest, d.SourceType, d.Source, d.Schema, d.Profile}}
		if d.Context != "" {
			input.Tags = []wirePair{{"mlflow.data.context", d.Context}}
		}
		body.Datasets = append(body.Datasets, input)
	}
	err := mlflow.ErrNoRun // the server would answer "invalid request"
	if isRunID(runID) {
		err = v.api.post(ctx, "runs/log-inputs", body, nil)
	}
	if err != nil {
		return fmt.Errorf("log inputs of run %s: %w", runID, err)
	}
	return nil
}
