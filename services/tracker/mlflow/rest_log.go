package mlflow

import (
	"context"
	"fmt"
	"math"
	"slices"
)

// The most of each kind that one batch may hold.
const (
	batchMetrics = 1000
	batchParams  = 100
	batchTags    = 100
)

type wireBatch struct {
	RunID   string       `json:"run_id"`
	Metrics []wireMetric `json:"metrics,omitempty"`
	Params  []wirePair   `json:"params,omitempty"`
	Tags    []wirePair   `json:"tags,omitempty"`
}

func (c *rest) logBatch(ctx context.Context, batch wireBatch) error {
	if !isRunID(batch.RunID) {
		return ErrNoRun // the server would call it an invalid request
	}
	return c.post(ctx, "runs/log-batch", batch, nil)
}

// isRunID is what MLflow takes for the id of a run.
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
	Value     any    `json:"value"` // a number, or the name of one that JSON does not have
	Timestamp int64  `json:"timestamp"`
	Step      int64  `json:"step"`
}

// LogParams sends what is missing only: a batch with one changed parameter is
// refused as a whole.
func (c *rest) LogParams(ctx context.Context, runID string, params []Param) error {
	params, conflicts := firstParams(params)
	// A second round where another writer came between reading and writing.
	for round := 1; ; round++ {
		missing, changed, err := c.missingParams(ctx, runID, params)
		if err == nil {
			err = c.sendParams(ctx, runID, missing)
		}
		if round == 1 && hasCode(err, codeInvalid) {
			continue
		}
		if err != nil {
			return fmt.Errorf("log parameters of run %s: %w", runID, err)
		}
		return conflictError(runID, append(conflicts, changed...))
	}
}

func (c *rest) missingParams(ctx context.Context, runID string, params []Param) (missing []Param, changed []string, err error) {
	run, err := c.getRun(ctx, runID)
	if err != nil {
		return nil, nil, err
	}
	there := make(map[string]string, len(run.Data.Params))
	for _, p := range run.Data.Params {
		there[p.Key] = p.Value
	}
	missing, changed = missingParams(params, there)
	return missing, changed, nil
}

func (c *rest) sendParams(ctx context.Context, runID string, params []Param) error {
	for chunk := range slices.Chunk(params, batchParams) {
		batch := wireBatch{RunID: runID}
		for _, p := range chunk {
			batch.Params = append(batch.Params, wirePair(p))
		}
		if err := c.logBatch(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

func (c *rest) SetTags(ctx context.Context, runID string, tags []Tag) error {
	for chunk := range slices.Chunk(lastTags(tags), batchTags) {
		batch := wireBatch{RunID: runID}
		for _, t := range chunk {
			batch.Tags = append(batch.Tags, wirePair(t))
		}
		if err := c.logBatch(ctx, batch); err != nil {
			return fmt.Errorf("tag run %s: %w", runID, err)
		}
	}
	return nil
}

func (c *rest) LogMetrics(ctx context.Context, runID string, points []Metric) error {
	for chunk := range slices.Chunk(points, batchMetrics) {
		batch := wireBatch{RunID: runID}
		for _, m := range chunk {
			batch.Metrics = append(batch.Metrics, wireMetric{CleanName(m.Key), wireNumber(m.Value), millis(m.Timestamp), m.Step})
		}
		if err := c.logBatch(ctx, batch); err != nil {
			return fmt.Errorf("log metrics of run %s: %w", runID, err)
		}
	}
	return nil
}

// wireNumber is a number of JSON, or the string by which the server knows one
// that JSON lacks. As a bare word it would become 0.
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

func (c *rest) LogInputs(ctx context.Context, runID string, datasets []Dataset) error {
	if len(datasets) == 0 {
		return nil
	}
	body := struct {
		RunID    string      `json:"run_id"`
		Datasets []wireInput `json:"datasets"`
	}{RunID: runID}
	for _, d := range datasets {
		d = cleanDataset(d)
		input := wireInput{Dataset: wireDataset{d.Name, d.Digest, d.SourceType, d.Source, d.Schema, d.Profile}}
		if d.Context != "" {
			input.Tags = []wirePair{{"mlflow.data.context", d.Context}}
		}
		body.Datasets = append(body.Datasets, input)
	}
	err := ErrNoRun
	if isRunID(runID) {
		err = c.post(ctx, "runs/log-inputs", body, nil)
	}
	if err != nil {
		return fmt.Errorf("log inputs of run %s: %w", runID, err)
	}
	return nil
}
