package projection

import (
	"cmp"
	"slices"
	"time"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// MLflowRun is the content of one MLflow run, except for metric histories and
// artifacts.
type MLflowRun struct {
	Key     mlflow.RunKey
	Run     mlflow.Run // of a child without its parent's id
	Params  []mlflow.Param
	Metrics []mlflow.Metric
	Tags    []mlflow.Tag
	Inputs  []mlflow.Dataset
	// Status is empty while the run goes on.
	Status mlflow.Status
	End    time.Time
}

func (r *MLflowRun) addParam(key, value string) {
	r.Params = append(r.Params, mlflow.Param{Key: key, Value: value})
}

func (r *MLflowRun) addTag(key, value string) {
	r.Tags = append(r.Tags, mlflow.Tag{Key: key, Value: value})
}

func (r *MLflowRun) addMetric(key string, value float64, at time.Time) {
	r.Metrics = append(r.Metrics, mlflow.Metric{Key: key, Value: value, Timestamp: at})
}

// addDuration adds a duration in both units, at the time of its end.
func (r *MLflowRun) addDuration(name string, start, end time.Time) {
	d := end.Sub(start)
	r.addMetric(name+"_duration_seconds", d.Seconds(), end)
	r.addMetric(name+"_duration_minutes", d.Minutes(), end)
}

// finish sets the status and the end of a run.
func (r *MLflowRun) finish(c events.Conclusion, end time.Time) {
	r.End = end
	switch c {
	case events.Success:
		r.Status = mlflow.Finished
	case events.Cancelled:
		r.Status = mlflow.Killed
	default:
		r.Status = mlflow.Failed
	}
}

// sort gives parameters and metrics, which come from maps, one order, so that
// every tracker sends the same requests.
func (r *MLflowRun) sort() {
	slices.SortStableFunc(r.Params, func(a, b mlflow.Param) int { return cmp.Compare(a.Key, b.Key) })
	slices.SortStableFunc(r.Metrics, func(a, b mlflow.Metric) int { return cmp.Compare(a.Key, b.Key) })
}
