package filestore

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/services/tracker/mlflow/mlflowtest"
)

// folderReader reads MLflow's file layout, without the target.
type folderReader struct{ root string }

func (r folderReader) Read(t *testing.T, experimentID, runID string) mlflowtest.Stored {
	t.Helper()
	dir := filepath.Join(r.root, experimentID, runID)
	meta := readFile(t, filepath.Join(dir, "meta.yaml"))
	number := func(key string) int64 {
		n, err := strconv.ParseInt(scalar(meta, key), 10, 64)
		if err != nil && scalar(meta, key) != "null" {
			t.Fatalf("%s: %v", key, err)
		}
		return n
	}
	s := mlflowtest.Stored{
		Name:   scalar(meta, "run_name"),
		Status: []string{1: "RUNNING", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}[number("status")],
		Start:  number("start_time"), End: number("end_time"),
		Params: readKeys(t, filepath.Join(dir, "params")), Tags: readKeys(t, filepath.Join(dir, "tags")),
		Metrics: make(map[string][]string),
	}
	for key, text := range readKeys(t, filepath.Join(dir, "metrics")) {
		for l := range strings.Lines(text) {
			s.Metrics[key] = append(s.Metrics[key], mlflowtest.NormalLine(l))
		}
		slices.Sort(s.Metrics[key])
	}
	for name, link := range readKeys(t, filepath.Join(dir, "inputs")) {
		dataset := readFile(t, filepath.Join(r.root, experimentID, "datasets", scalar(link, "source_id"), "meta.yaml"))
		text := scalar(dataset, "name") + " " + scalar(dataset, "digest")
		if _, value, ok := strings.Cut(scalar(link, "tags"), "mlflow.data.context: "); ok {
			text += " " + strings.Trim(value, `"}`)
		}
		if !strings.HasSuffix(name, "/meta.yaml") {
			t.Errorf("input %s: not a meta file", name)
		}
		s.Inputs = append(s.Inputs, text)
	}
	slices.Sort(s.Inputs)
	return s
}

func (r folderReader) Artifact(t *testing.T, experimentID, runID, path string) string {
	t.Helper()
	return readFile(t, filepath.Join(r.root, experimentID, runID, "artifacts", path))
}

// readKeys reads every file below dir, by its path there.
func readKeys(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		all[filepath.ToSlash(name)] = readFile(t, path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func (r folderReader) Alias(t *testing.T, name, alias string) string {
	t.Helper()
	version, err := os.ReadFile(filepath.Join(r.root, "models", name, "aliases", alias))
	if err != nil {
		t.Fatal(err)
	}
	return string(version)
}
