package tracker

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// datasets are the inputs of a phase, as MLflow lists them.
func datasets(run events.Run, p events.Phase) []mlflow.Dataset {
	s := run.Accepted.Specification
	var out []mlflow.Dataset
	add := func(key, id, use string) {
		if id == "" {
			return
		}
		d := mlflow.Dataset{Name: path.Base(id), Context: use, SourceType: "local", Source: source("uri", id)}
		if ref, ok := run.Accepted.Inputs.Files[key]; ok {
			d.Digest = ref.SHA256
			d.Source = source("uri", ref.Store+"/"+ref.Key)
		} else {
			// What is fetched elsewhere is known by its name alone. MLflow
			// takes data sets of one name and digest for the same one.
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
