package projection

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path"
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/services/tracker/mlflow"
)

// datasets are the inputs of a phase. MLflow never changes a data set, and
// takes those with the same name and digest for the same one. So there are
// none before the phase is completed, when the digests are known.
func datasets(run events.Run, p events.Phase, done *events.PhaseCompleted) []mlflow.Dataset {
	if done == nil {
		return nil
	}
	s := run.Accepted.Specification
	var out []mlflow.Dataset
	add := func(key, id, use string) {
		if id != "" {
			out = append(out, specifiedDataset(run, done, key, id, use))
		}
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
				Name:       path.Base(ref.Key),
				Digest:     ref.SHA256,
				SourceType: "local",
				Source:     sourceJSON(ref.Store + "/" + ref.Key),
				Context:    "inference_output",
			})
		}
	}
	return out
}

// specifiedDataset is the data set that a key of the specification names.
func specifiedDataset(run events.Run, done *events.PhaseCompleted, key, id, use string) mlflow.Dataset {
	d := mlflow.Dataset{Name: path.Base(id), Context: use, SourceType: "local", Source: sourceJSON(id)}
	ref, uploaded := run.Accepted.Inputs.Files[key]
	if uploaded {
		d.Source = sourceJSON(ref.Store + "/" + ref.Key)
	}
	i := slices.IndexFunc(done.Datasets, func(read events.Dataset) bool { return read.Key == key })
	switch {
	case i >= 0:
		d.Digest = done.Datasets[i].SHA256
		d.Profile = profile(done.Datasets[i])
	case uploaded:
		d.Digest = ref.SHA256
	default: // the phase failed before it read the data: only the name is known
		sum := sha256.Sum256([]byte(id))
		d.Digest = hex.EncodeToString(sum[:4])
	}
	return d
}

// profile says how many rows a data set has, and what became of them.
func profile(d events.Dataset) string {
	counts := map[string]int64{"num_rows": d.Rows}
	for _, c := range rowCounts(d) {
		if c.rows > 0 {
			counts[c.name] = c.rows
		}
	}
	b, err := json.Marshal(counts)
	if err != nil {
		return "{}"
	}
	return string(b)
}

// rowCount is a number of rows.
type rowCount struct {
	name string
	rows int64
}

// rowCounts are the rows of a data set by what became of them.
func rowCounts(d events.Dataset) []rowCount {
	return []rowCount{
		{"rows_read", d.RowsRead},
		{"rows_without_answer", d.WithoutAnswer},
		{"rows_dropped", d.Dropped},
		{"rows_cut_in_prompt", d.CutInPrompt},
		{"rows_cut_in_answer", d.CutInAnswer},
	}
}

// uses are the data sets that keys name, by what they are for.
var uses = map[string]string{
	"fine_tuner.training_data_id":   "training",
	"fine_tuner.validation_data_id": "validation",
	"inferencer.testing_data_id":    "testing",
}

func sourceJSON(uri string) string {
	b, err := json.Marshal(map[string]string{"uri": uri})
	if err != nil {
		return "{}"
	}
	return string(b)
}
