package filestore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
	"github.com/tunebus/tunebus/services/tracker/mlflow/normalize"
)

// LogMetrics drops points that exist: a line that is there twice makes the
// migration into a database fail.
func (s values) LogMetrics(ctx context.Context, runID string, points []mlflow.Metric) error {
	byKey := make(map[string][]mlflow.Metric)
	for _, m := range points {
		key := normalize.Name(m.Key)
		byKey[key] = append(byKey[key], m)
	}
	return s.root.inRun(ctx, "log metrics of", runID, func(dir string) error {
		for _, key := range slices.Sorted(maps.Keys(byKey)) {
			if err := addPoints(dir, key, byKey[key]); err != nil {
				return fmt.Errorf("metric %s: %w", key, err)
			}
		}
		return nil
	})
}

func addPoints(dir, key string, points []mlflow.Metric) error {
	path := keyPath(dir, "metrics", key)
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	seen := make(map[pointKey]bool)
	for line := range strings.Lines(string(text)) {
		m, err := parsePoint(line)
		if err != nil {
			return err
		}
		seen[pointKeyOf(m)] = true
	}
	had := len(text)
	for _, m := range points {
		if p := pointKeyOf(m); !seen[p] {
			seen[p] = true
			text = append(text, formatPoint(m)...)
		}
	}
	if len(text) == had {
		return nil
	}
	return replaceFile(dir, path, bytes.NewReader(text))
}

// formatPoint formats a point as "<ms> <value> <step>\n".
func formatPoint(m mlflow.Metric) string {
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
	return fmt.Sprintf("%d %s %d\n", normalize.Millis(m.Timestamp), value, m.Step)
}

func parsePoint(line string) (mlflow.Metric, error) {
	parts := strings.Fields(line)
	if len(parts) < 2 || len(parts) > 3 {
		return mlflow.Metric{}, fmt.Errorf("line %q: not a time, a value and a step", line)
	}
	ms, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return mlflow.Metric{}, fmt.Errorf("line %q: %w", line, err)
	}
	value, err := strconv.ParseFloat(parts[1], 64)
	if err != nil {
		return mlflow.Metric{}, fmt.Errorf("line %q: %w", line, err)
	}
	m := mlflow.Metric{Timestamp: time.UnixMilli(ms), Value: value}
	if len(parts) == 3 { // the oldest stores have no step
		if m.Step, err = strconv.ParseInt(parts[2], 10, 64); err != nil {
			return mlflow.Metric{}, fmt.Errorf("line %q: %w", line, err)
		}
	}
	return m, nil
}

// pointKey is what makes two metric points the same one in MLflow's databases,
// which store an infinite value as the largest number.
type pointKey struct {
	millis, step int64
	value        float64
	nan          bool
}

func pointKeyOf(m mlflow.Metric) pointKey {
	k := pointKey{millis: normalize.Millis(m.Timestamp), step: m.Step, value: m.Value}
	switch {
	case math.IsNaN(m.Value):
		k.value, k.nan = 0, true
	case math.IsInf(m.Value, 0):
		k.value = math.Copysign(math.MaxFloat64, m.Value)
	case m.Value == 0:
		k.value = 0 // not -0, which databases store as 0
	}
	return k
}
