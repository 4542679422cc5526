package spec

import (
	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// DataSet is a key that names a data set, and is not empty.
type DataSet struct {
	Key  string
	Name string
	// Split is the phase's own split.
	Split source.Split
}

// DataSets returns the keys of a specification that name data sets and are not
// empty.
func DataSets(s events.Specification) []DataSet {
	var out []DataSet
	for _, d := range []DataSet{
		{"fine_tuner.training_data_id", s.FineTuner.TrainingDataID, source.Train},
		{"fine_tuner.validation_data_id", s.FineTuner.ValidationDataID, source.Validation},
		{"inferencer.testing_data_id", s.Inferencer.TestingDataID, source.Test},
	} {
		if d.Name != "" {
			out = append(out, d)
		}
	}
	return out
}

// Sharing returns another key of the specification that names the same file, folder
// or repository as the data key, or "" if there is none. It compares the names as
// they are written, without revision, configuration and split.
func Sharing(s events.Specification, key string) string {
	sets := DataSets(s)
	for _, d := range sets {
		if d.Key != key {
			continue
		}
		for _, other := range sets {
			if other.Key != key && source.Same(other.Name, d.Name) {
				return other.Key
			}
		}
	}
	return ""
}
