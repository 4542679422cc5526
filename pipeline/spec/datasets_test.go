package spec_test

import (
	"slices"
	"testing"

	"github.com/tunebus/tunebus/pipeline/dataset/shape"
	"github.com/tunebus/tunebus/pipeline/dataset/source"
	"github.com/tunebus/tunebus/pipeline/spec"
)

// TestSource: what a key selects, the phase's split, and who else names the place.
func TestSource(t *testing.T) {
	t.Parallel()
	const training, validation, test = "fine_tuner.training_data_id", "fine_tuner.validation_data_id", "inferencer.testing_data_id"
	for name, c := range map[string]struct {
		training, validation, test, key string
		want                            source.Source
	}{
		"alone":               {"data", "", "", training, source.Source{Split: source.Train}},
		"another one":         {"data", "", "other", test, source.Source{Split: source.Test}},
		"the same":            {"data", "", "./data/", test, source.Source{Split: source.Test, SharedWith: training, Again: true}},
		"the same, validated": {"data", "data", "", validation, source.Source{Split: source.Validation, SharedWith: training, Again: true}},
		"another revision":    {"o/n@v1", "", "o/n@v2", training, source.Source{Split: source.Train, SharedWith: test}},
		"another split": {"o/n:train", "", "o/n:main/test", test, source.Source{
			Split: source.Test, Selection: source.Selection{Config: "main", Split: "test"}, SharedWith: training, SharedSelection: source.Selection{Name: "train"}, Again: true,
		}},
		"of two the same split": {"o/n:train", "o/n:test", "o/n:test", test, source.Source{
			Split: source.Test, Selection: source.Selection{Name: "test"}, SharedWith: validation, SharedSelection: source.Selection{Name: "test"}, Again: true,
		}},
		"no key": {"data", "", "", "fine_tuner.base_model_id", source.Source{}},
	} {
		s := spec.Defaults()
		s.FineTuner.TrainingDataID, s.FineTuner.ValidationDataID, s.Inferencer.TestingDataID = c.training, c.validation, c.test
		c.want.Key = c.key
		c.want.Name = map[string]string{training: c.training, validation: c.validation, test: c.test}[c.key]
		if got := spec.Source(s, c.key); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

// TestPlace: a data key may have a selection behind its place, a model key not.
func TestPlace(t *testing.T) {
	t.Parallel()
	s := spec.Defaults()
	s.FineTuner.BaseModelID, s.FineTuner.TrainingDataID = "owner/name:main", "owner/name:main"
	places := map[string]string{}
	for _, p := range spec.Paths(s) {
		places[p.Key] = p.Place()
	}
	if places["fine_tuner.base_model_id"] != "owner/name:main" || places["fine_tuner.training_data_id"] != "owner/name" {
		t.Errorf("%v", places)
	}
}

// TestDataFormats: the keys allow the shapes that can be read. Chosen and rejected
// answers are for trainings alone.
func TestDataFormats(t *testing.T) {
	t.Parallel()
	tests := slices.DeleteFunc(shape.Names(), func(s string) bool { return s == string(shape.Preference) })
	found := 0
	for _, k := range spec.Keys() {
		if k.Name != "data_format" {
			continue
		}
		found++
		want := map[string][]string{"fine_tuner": shape.Names(), "inferencer": tests}[k.Section]
		if !slices.Equal(k.Allowed, want) {
			t.Errorf("%s.%s allows %s, want %s", k.Section, k.Name, k.Allowed, want)
		}
	}
	if found != 2 {
		t.Errorf("%d keys", found)
	}
}
