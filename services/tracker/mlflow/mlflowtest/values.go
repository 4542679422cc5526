package mlflowtest

import (
	"context"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// Params makes parameters from keys and values in turn.
func Params(pairs ...string) []mlflow.Param {
	var params []mlflow.Param
	for i := 0; i+1 < len(pairs); i += 2 {
		params = append(params, mlflow.Param{Key: pairs[i], Value: pairs[i+1]})
	}
	return params
}

// Tags makes tags from keys and values in turn.
func Tags(pairs ...string) []mlflow.Tag {
	var tags []mlflow.Tag
	for _, p := range Params(pairs...) {
		tags = append(tags, mlflow.Tag(p))
	}
	return tags
}

// Point makes a metric point.
func Point(key string, value float64, at time.Time, step int64) mlflow.Metric {
	return mlflow.Metric{Key: key, Value: value, Timestamp: at, Step: step}
}

// Content makes an artifact with a text as its content.
func Content(path, text string) mlflow.Artifact {
	return mlflow.Artifact{Path: path, Size: int64(len(text)), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(text)), nil
	}}
}

// Expect compares got with want, in depth.
func Expect[T any](t *testing.T, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %.2000v\nwant %.2000v", got, want)
	}
}
