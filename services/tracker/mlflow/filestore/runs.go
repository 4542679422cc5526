package filestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/pipeline/atomicfile"
	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// runs implements mlflow.Runs.
type runs struct{ root root }

// EnsureRun needs no search: the id follows from the key.
func (s runs) EnsureRun(ctx context.Context, experimentID string, key mlflow.RunKey, r mlflow.Run) (id string, err error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	experiment := filepath.Join(string(s.root), filepath.Base(experimentID))
	if _, err := os.Stat(filepath.Join(experiment, "meta.yaml")); err != nil {
		return "", fmt.Errorf("create run %q: experiment %s: %w", r.Name, experimentID, err)
	}
	id = runID(experimentID, key)
	dir := filepath.Join(experiment, id)
	unlock, err := makeAndLock(ctx, dir)
	if err != nil {
		return "", fmt.Errorf("create run %q: %w", r.Name, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	if _, err := os.Stat(filepath.Join(dir, "meta.yaml")); err == nil {
		if err := setMeta(dir, map[string]string{"lifecycle_stage": "active", "deleted_time": "null"}); err != nil {
			return "", fmt.Errorf("restore run %q: %w", r.Name, err)
		}
		return id, nil
	}
	if err := createRun(dir, experimentID, id, key, r); err != nil {
		return "", fmt.Errorf("create run %q: %w", r.Name, err)
	}
	return id, nil
}

// FindRuns needs no search either.
func (s runs) FindRuns(ctx context.Context, experiment string, keys []mlflow.RunKey) ([]mlflow.FoundRun, error) {
	name, err := normalize.ExperimentName(experiment)
	if err != nil {
		return nil, err
	}
	experimentID, err := experimentIn(string(s.root), name)
	if err != nil || experimentID == "" {
		return nil, err
	}
	var found []mlflow.FoundRun
	for _, key := range keys {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		id := runID(experimentID, key)
		_, err := os.Stat(filepath.Join(string(s.root), experimentID, id, "meta.yaml"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("find run %s: %w", id, err)
		}
		found = append(found, mlflow.FoundRun{ID: id, ExperimentID: experimentID, Key: key})
	}
	return found, nil
}

// runID is the id of the run with a key.
func runID(experimentID string, key mlflow.RunKey) string {
	sum := sha256.Sum256([]byte(experimentID + "\x00" + key.RunID + "\x00" + key.Phase))
	return hex.EncodeToString(sum[:16])
}

// createRun writes the files of a new run into its folder, meta.yaml last.
func createRun(dir, experimentID, id string, key mlflow.RunKey, r mlflow.Run) error {
	for _, sub := range []string{"artifacts", "metrics", "params", "tags"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	user := ""
	for _, t := range normalize.InitialTags(key, r) {
		if t.Key == mlflow.TagUser {
			user = t.Value
		}
		if err := writeKey(dir, "tags", t.Key, t.Value); err != nil {
			return err
		}
	}
	meta := fields{
		{"artifact_uri", quote(fileURL(filepath.Join(dir, "artifacts")))},
		{"deleted_time", "null"},
		{"end_time", "null"},
		{"entry_point_name", "''"},
		{"experiment_id", quote(experimentID)},
		{"lifecycle_stage", "active"},
		{"run_id", quote(id)},
		{"run_name", quote(normalize.RunName(r.Name))},
		{"run_uuid", quote(id)},
		{"source_name", "''"},
		{"source_type", "4"},
		{"source_version", "''"},
		{"start_time", strconv.FormatInt(normalize.Millis(r.StartTime), 10)},
		{"status", statusNumber(mlflow.Running)},
		{"tags", "[]"},
		{"user_id", quote(user)},
	}
	failpoint.Here(failpoint.MLflowUnrecorded)
	return replaceFile(dir, filepath.Join(dir, "meta.yaml"), strings.NewReader(meta.String()))
}

// statusNumber is a status in the spelling of the layout.
func statusNumber(s mlflow.Status) string {
	return map[mlflow.Status]string{mlflow.Running: "1", mlflow.Finished: "3", mlflow.Failed: "4", mlflow.Killed: "5"}[s]
}

func (s runs) EndRun(ctx context.Context, runID string, status mlflow.Status, end time.Time) error {
	if err := status.CheckEnd(); err != nil {
		return fmt.Errorf("end run %s: %w", runID, err)
	}
	return s.root.inRun(ctx, "end", runID, func(dir string) error {
		if err := atomicfile.RemoveTemps(dir); err != nil {
			return err
		}
		return setMeta(dir, map[string]string{
			"status":   statusNumber(status),
			"end_time": strconv.FormatInt(normalize.Millis(end), 10),
		})
	})
}

func (s runs) RunURL(experimentID, runID string) string {
	return fileURL(filepath.Join(string(s.root), experimentID, runID))
}
