package spec

import (
	"slices"

	"github.com/tunebus/tunebus/events"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
)

// dataSet is a key that names a data set, and is not empty.
type dataSet struct {
	key, name string
	// split is the phase's own.
	split source.Split
}

// dataSets returns the keys of a specification that name data sets and are not
// empty.
func dataSets(s events.Specification) []dataSet {
	return slices.DeleteFunc([]dataSet{
		{"fine_tuner.training_data_id", s.FineTuner.TrainingDataID, source.Train},
		{"fine_tuner.validation_data_id", s.FineTuner.ValidationDataID, source.Validation},
		{"inferencer.testing_data_id", s.Inferencer.TestingDataID, source.Test},
	}, func(d dataSet) bool { return d.name == "" })
}

// Source returns the data set that a key of the specification names, except its
// path: what is selected of it, the phase's own split, and whether another key names
// the same file, folder or repository. Names are compared as they are written,
// without revision, configuration and split.
func Source(s events.Specification, key string) source.Source {
	out, sets, at := source.Source{Key: key}, dataSets(s), 0
	for i, d := range sets {
		if d.key == key {
			at, out.Name, out.Split = i, d.name, d.split
			_, out.Selection = source.Parse(d.name)
		}
	}
	for i, other := range sets {
		if other.key == key || !source.Same(other.name, out.Name) {
			continue
		}
		// Of two others the one that selects the same counts.
		if _, selected := source.Parse(other.name); out.SharedWith == "" || selected == out.Selection {
			out.SharedWith, out.SharedSelection, out.Again = other.key, selected, i < at
		}
	}
	return out
}
