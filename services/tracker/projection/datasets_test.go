package projection

import (
	"reflect"
	"strings"
	"testing"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// TestDatasets: a data set has the digest of its content, wherever the data
// comes from, once the digest is known.
func TestDatasets(t *testing.T) {
	t.Parallel()
	ones, twos := strings.Repeat("1", 64), strings.Repeat("2", 64)
	a := events.PipelineAccepted{RunID: "r"}
	a.Specification.FineTuner.TrainingDataID, a.Specification.FineTuner.ValidationDataID = "data/train.jsonl", "held.jsonl"
	a.Inputs.Files = map[string]events.Reference{"fine_tuner.validation_data_id": {Store: "s", Key: "uploads/x/held.jsonl", SHA256: twos}}
	run := events.Fold([]events.Fact{a})
	if got := datasets(run, events.Finetune, nil); len(got) > 0 {
		t.Errorf("before anything was read: %+v", got)
	}
	local := mlflow.Dataset{Name: "train.jsonl", Context: "training", SourceType: "local", Source: `{"uri":"data/train.jsonl"}`, Digest: ones, Profile: `{"num_rows":640}`}
	uploaded := mlflow.Dataset{Name: "held.jsonl", Context: "validation", SourceType: "local", Source: `{"uri":"s/uploads/x/held.jsonl"}`, Digest: twos, Profile: `{"num_rows":16}`}
	done := events.PhaseCompleted{Datasets: []events.Dataset{
		{Key: "fine_tuner.validation_data_id", SHA256: twos, Rows: 16}, {Key: "fine_tuner.training_data_id", SHA256: ones, Rows: 640},
	}}
	if got, want := datasets(run, events.Finetune, &done), []mlflow.Dataset{local, uploaded}; !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	// A phase that failed before it read anything, or an event of an older
	// version.
	uploaded.Profile = ""
	got := datasets(run, events.Finetune, &events.PhaseCompleted{})
	if len(got) != 2 || got[0].Digest == "" || got[0].Profile != "" || !reflect.DeepEqual(got[1], uploaded) {
		t.Errorf("nothing was read: %+v", got)
	}
}
