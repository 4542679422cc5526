package mlflow

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/tunebus/tunebus/pipeline/failpoint"
	"github.com/tunebus/tunebus/services/tracker/atomicfile"
)

func (f *file) LogParams(ctx context.Context, runID string, params []Param) error {
	params, conflicts := firstParams(params)
	err := f.inRun(ctx, "log parameters of", runID, func(dir string) error {
		if first, err := isEmpty(filepath.Join(dir, "params")); err != nil || first {
			return errors.Join(err, firstKeys(dir, "params", params))
		}
		for _, p := range params {
			old, err := os.ReadFile(keyPath(dir, "params", p.Key))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				if err := writeKey(dir, "params", p.Key, p.Value); err != nil {
					return err
				}
			case err != nil:
				return err
			case string(old) != p.Value:
				conflicts = append(conflicts, p.Key)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return conflictError(runID, conflicts)
}

// firstKeys writes a folder of keys as a whole: the many parameters of a new
// run at a fraction of the cost of replacing one file after the other.
func firstKeys(dir, kind string, params []Param) (err error) {
	tmp, err := os.MkdirTemp(dir, atomicfile.TempPattern)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	folder := filepath.Join(tmp, kind)
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	for _, p := range params {
		path := keyPath(tmp, kind, p.Key)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(p.Value), 0o644); err != nil {
			return err
		}
	}
	if err := os.Remove(filepath.Join(dir, kind)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	failpoint.Here(failpoint.MLflowFolder)
	return os.Rename(folder, filepath.Join(dir, kind))
}

// isEmpty reports whether a folder has nothing in it, or is not there.
func isEmpty(dir string) (bool, error) {
	d, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer d.Close()
	_, err = d.Readdirnames(1)
	if errors.Is(err, io.EOF) {
		return true, nil
	}
	return false, err
}

func (f *file) SetTags(ctx context.Context, runID string, tags []Tag) error {
	return f.inRun(ctx, "tag", runID, func(dir string) error {
		for _, t := range lastTags(tags) {
			if err := writeKey(dir, "tags", t.Key, t.Value); err != nil {
				return err
			}
		}
		return nil
	})
}

// LogMetrics drops points that are there: a line written twice makes the
// migration into a database fail.
func (f *file) LogMetrics(ctx context.Context, runID string, points []Metric) error {
	byKey := make(map[string][]Metric)
	for _, m := range points {
		key := CleanName(m.Key)
		byKey[key] = append(byKey[key], m)
	}
	return f.inRun(ctx, "log metrics of", runID, func(dir string) error {
		for _, key := range slices.Sorted(maps.Keys(byKey)) {
			if err := addPoints(dir, key, byKey[key]); err != nil {
				return fmt.Errorf("metric %s: %w", key, err)
			}
		}
		return nil
	})
}

func addPoints(dir, key string, points []Metric) error {
	path := keyPath(dir, "metrics", key)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	seen := make(map[point]bool)
	for line := range strings.Lines(string(text)) {
		m, err := parsePoint(line)
		if err != nil {
			return err
		}
		seen[pointOf(m)] = true
	}
	had := len(text)
	for _, m := range points {
		if p := pointOf(m); !seen[p] {
			seen[p] = true
			text = append(text, formatPoint(m)...)
		}
	}
	if len(text) == had {
		return nil
	}
	return replaceFile(dir, path, bytes.NewReader(text))
}

// formatPoint writes a point as "<ms> <value> <step>\n".
func formatPoint(m Metric) string {
	value := strconv.FormatFloat(m.Value, 'g', -1, 64)
	switch {
	case math.IsNaN(m.Value):
		value = "nan"
	case math.IsInf(m.Value, 1):
		value = "inf"
	case math.IsInf(m.Value, -1):
		value = "-inf"
	case m.Value == 0:
		value = "0" // not "-0"
	}
	return fmt.Sprintf("%d %s %d\n", millis(m.Timestamp), value, m.Step)
}

func parsePoint(line string) (Metric, error) {
	parts := strings.Fields(line)
	if len(parts) < 2 || len(parts) > 3 {
		return Metric{}, fmt.Errorf("line %q: not a time, a value and a step", line)
	}
	ms, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return Metric{}, fmt.Errorf("line %q: %w", line, err)
	}
	value, err := strconv.ParseFloat(parts[1], 64)
	if err != nil {
		return Metric{}, fmt.Errorf("line %q: %w", line, err)
	}
	m := Metric{Timestamp: time.UnixMilli(ms), Value: value}
	if len(parts) == 3 { // the oldest stores have no step
		if m.Step, err = strconv.ParseInt(parts[2], 10, 64); err != nil {
			return Metric{}, fmt.Errorf("line %q: %w", line, err)
		}
	}
	return m, nil
}

func (f *file) LogInputs(ctx context.Context, runID string, datasets []Dataset) error {
	return f.inRun(ctx, "log inputs of", runID, func(dir string) error {
		for _, d := range datasets {
			if err := addInput(dir, runID, cleanDataset(d)); err != nil {
				return fmt.Errorf("data set %q: %w", d.Name, err)
			}
		}
		return nil
	})
}

// addInput writes the data set, which all runs of the experiment share, and
// then its link to the run. The first of each stays.
func addInput(dir, runID string, d Dataset) error {
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

func writeKey(dir, kind, key, value string) error {
	return replaceFile(dir, keyPath(dir, kind, key), strings.NewReader(value))
}

// keyPath is where a name lives; a slash in it is a folder. The layout cannot
// hold both "a" and "a/b": whichever comes second gets its slashes, or an
// ending, as underscores.
func keyPath(dir, kind, key string) string {
	path := filepath.Join(dir, kind, filepath.FromSlash(key))
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return filepath.Join(dir, kind, strings.ReplaceAll(key, "/", "_"))
	case err == nil && info.IsDir():
		return path + "_"
	default:
		return path
	}
}
