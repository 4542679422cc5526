package filestore

import (
	"context"
	"crypto/md5" //nolint:gosec // MLflow's layout names inputs by MD5; nothing depends on its strength
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

func (s values) LogInputs(ctx context.Context, runID string, datasets []mlflow.Dataset) error {
	return s.root.inRun(ctx, "log inputs of", runID, func(dir string) error {
		for _, d := range datasets {
			if err := addInput(dir, runID, normalize.Dataset(d)); err != nil {
				return fmt.Errorf("data set %q: %w", d.Name, err)
			}
		}
		return nil
	})
}

// addInput writes the data set, which all runs of the experiment share, and
// then its link to the run. Existing files stay.
func addInput(dir, runID string, d mlflow.Dataset) error {
	id := md5hex(d.Name + d.Digest)
	input := md5hex(id + runID)
	optional := func(s string) string {
		if s == "" {
			return "null"
		}
		return quote(s)
	}
	dataset := fields{
		{"digest", quote(d.Digest)},
		{"name", quote(d.Name)},
		{"profile", optional(d.Profile)},
		{"schema", optional(d.Schema)},
		{"source", quote(d.Source)},
		{"source_type", quote(d.SourceType)},
	}
	tags := "{}"
	if d.Context != "" {
		tags = "{mlflow.data.context: " + quote(d.Context) + "}"
	}
	link := fields{
		{"destination_id", quote(id)},
		{"destination_type", "RUN"},
		{"source_id", quote(id)},
		{"source_type", "DATASET"},
		{"tags", tags},
	}
	if err := createOnce(dir, filepath.Join(filepath.Dir(dir), "datasets", id, "meta.yaml"), dataset); err != nil {
		return err
	}
	return createOnce(dir, filepath.Join(dir, "inputs", input, "meta.yaml"), link)
}

func createOnce(tmpDir, path string, meta fields) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	return replaceFile(tmpDir, path, strings.NewReader(meta.String()))
}

func md5hex(s string) string {
	sum := md5.Sum([]byte(s)) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}
