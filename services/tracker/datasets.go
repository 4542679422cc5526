package tracker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// datasets are the inputs of a phase, as MLflow lists them. MLflow never
// changes one, and takes those of one name and digest for the same one: so
// nothing is said of what a phase reads before it is known, when the phase is
// completed.
func datasets(run events.Run, p events.Phase, done *events.PhaseCompleted) []mlflow.Dataset {
	s := run.Accepted.Specification
	var out []mlflow.Dataset
	add := func(key, id, use string) {
		if id == "" || done == nil {
			return
		}
		d := mlflow.Dataset{Name: path.Base(id), Context: use, SourceType: "local", Source: source("uri", id)}
		ref, uploaded := run.Accepted.Inputs.Files[key]
		if uploaded {
			d.Source = source("uri", ref.Store+"/"+ref.Key)
		}
		i := slices.IndexFunc(done.Datasets, func(r events.Dataset) bool { return r.Key == key })
		switch {
		case i >= 0:
			d.Digest = done.Datasets[i].SHA256
			d.Profile = fmt.Sprintf(`{"num_rows":%d}`, done.Datasets[i].Rows)
		case uploaded:
			d.Digest = ref.SHA256
		default: // the phase failed before it read it: known by its name alone
			sum := sha256.Sum256([]byte(id))
			d.Digest = hex.EncodeToString(sum[:4])
		}
		out = append(out, d)
	}
	switch p {
	case events.Finetune:
		add("fine_tuner.training_data_id", s.FineTuner.TrainingDataID, "training")
		add("fine_tuner.validation_data_id", s.FineTuner.ValidationDataID, "validation")
	case events.Inference:
		add("inferencer.testing_data_id", s.Inferencer.TestingDataID, "testing")
	case events.Evaluation:
		if ref := run.InputsOf(p).Predictions; ref != nil {
			out = append(out, mlflow.Dataset{
				Name: path.Base(ref.Key), Digest: ref.SHA256, SourceType: "local", Source: source("uri", ref.Store+"/"+ref.Key), Context: "inference_output",
			})
		}
	}
	return out
}

func source(key, value string) string {
	b, err := json.Marshal(map[string]string{key: value})
	if err != nil {
		return "{}"
	}
	return string(b)
}
