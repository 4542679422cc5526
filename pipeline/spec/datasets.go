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

// Source returns the data set that a key of the specification names, except its
// path: what is selected of it, the phase's own split, and whether another key names
// the same file, folder or repository. Names are compared as they are written,
// without revision, configuration and split.
func Source(s events.Specification, key string) source.Source {
	out := source.Source{Key: key}
	sets := DataSets(s)
	for _, d := range sets {
		if d.Key == key {
			out.Name, out.Split = d.Name, d.Split
			_, out.Selection = source.Parse(d.Name)
		}
	}
	for _, other := range sets {
		if other.Key != key && source.Same(other.Name, out.Name) {
			out.SharedWith = other.Key
			_, out.SharedSelection = source.Parse(other.Name)
			break
		}
	}
	return out
}
